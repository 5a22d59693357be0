from __future__ import annotations

import json

import pytest

from xttsrecipe.strict_json import check_size, unique_names


def test_objects_are_read_as_they_are() -> None:
    text = '{"b": {"a": 1, "b": [{}]}, "a": null}'
    read = json.loads(text, object_pairs_hook=unique_names)
    assert json.dumps(read) == text


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "b": 2, "a": 3}}]', r'{"a": 1, "\u0061": 2}'])
def test_a_name_that_occurs_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the name 'a' occurs twice in one object"):
        json.loads(text, object_pairs_hook=unique_names)


@pytest.mark.parametrize("value", ["[],", "{},", "0,", '"",'])
def test_more_than_a_million_values_are_not_parsed(value: str) -> None:
    text = "[" + value * 1_000_000 + "0]"
    with pytest.raises(ValueError, match=r"^more than 1,000,000 values$"):
        check_size(text)
    with pytest.raises(ValueError, match=r"^more than 1,000,000 values$"):
        check_size(text.encode())


def test_up_to_a_million_values_are_as_they_are() -> None:
    text = "[" + "0," * 999_999 + "0]"
    assert check_size(text) is text
    assert len(json.loads(check_size(text.encode()))) == 1_000_000
