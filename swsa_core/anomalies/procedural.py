"""A pool of drawn letters over dead leaves (`swsa_core.files.drawings`): the demo's stand-in for natural images."""


def pool(spec, seed):
    """`spec["pool"]` images: DataFrame(image_id, path), both `procedural:<seed>:<row>`, which `read_image` draws."""
    import pandas as pd

    image_ids = [f"procedural:{seed}:{row}" for row in range(spec["pool"])]
    return pd.DataFrame({"image_id": image_ids, "path": image_ids})


def inputs(spec):
    """Nothing: the images are drawn."""
    return []
