"""Near matches in messages: few of many names, and those that are nearest."""

from swsa_core.basics.names import MOST_NAMES, did_you_mean

MANY = [f"model_{number:03}" for number in range(500)]


def test_near_names_alone_are_told_where_there_are_some():
    assert did_you_mean("model_0077", MANY).startswith("did you mean 'model_077'")
    assert "known" not in did_you_mean("model_0077", MANY)


def test_few_names_are_all_told_in_order():
    few = MANY[:MOST_NAMES]
    assert did_you_mean("x", reversed(few)) == f"known: {', '.join(few)}"


def test_of_many_names_the_nearest_and_the_number_of_the_rest():
    told = did_you_mean("9", MANY)
    names, rest = told.removeprefix("known: ").split(", … and ")
    assert len(names.split(", ")) == MOST_NAMES and all("9" in name for name in names.split(", "))
    assert rest == f"{500 - MOST_NAMES} more"
