"""Files of long tests come first, so that no process is left alone with one at the end: those of whole workflows."""


def pytest_collection_modifyitems(items):
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, "rules" not in item.path.parts))
