from __future__ import annotations

import json

import pytest

from xttsrecipe.strict_json import unique_names


def test_objects_are_read_as_they_are() -> None:
    text = '{"b": {"a": 1, "b": [{}]}, "a": null}'
    read = json.loads(text, object_pairs_hook=unique_names)
    assert json.dumps(read) == text


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "b": 2, "a": 3}}]', r'{"a": 1, "\u0061": 2}'])
def test_a_name_that_occurs_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the name 'a' occurs twice in one object"):
        json.loads(text, object_pairs_hook=unique_names)
