"""Which classes a return annotation names."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import (
    Any,
    Callable,
    Dict,
    Generic,
    List,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    Tuple,
    TypeVar,
    Union,
)

import pytest
from cachine._annotations import named_types
from cachine.serializers import ExactSerializer
from typing_extensions import Annotated, TypedDict


class Size(Enum):
    SMALL = 1


class Point(NamedTuple):
    x: int
    size: Size


@dataclass
class Leaf:
    point: Point


@dataclass
class Tree:
    children: List[Tree]
    leaf: Optional[Leaf]
    other: NoSuchName  # noqa: F821
    note: str = ""


class Record(TypedDict):
    leaf: Leaf


Number = NewType("Number", int)
Sized = NewType("Sized", Point)
T = TypeVar("T", bound=Size)


@dataclass
class Box(Generic[T]):
    inside: T


def returns(annotation):
    def function(x: Leaf) -> None:
        return None

    function.__annotations__["return"] = annotation
    return function


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        (Size, {Size}),
        (Point, {Point, Size}),
        (Leaf, {Leaf, Point, Size}),
        (Tree, {Tree, Leaf, Point, Size}),
        (Optional[Size], {Size}),
        (Union[Size, Point, int], {Size, Point}),
        (List[Size], {Size}),
        (Dict[str, Leaf], {Leaf, Point, Size}),
        (Dict[Size, List[Optional[Point]]], {Size, Point}),
        (Tuple[Size, ...], {Size}),
        (Annotated[Size, Leaf, "note"], {Size}),
        (Mapping[str, Size], {Size}),
        ("Size", {Size}),
        ("List[Optional[Size]]", {Size}),
        (List["Size"], {Size}),
        (Sized, {Point, Size}),
        (Box[Size], {Box, Size}),
        (T, {Size}),
        (Number, set()),
        (Callable[[int], Size], {Size}),
        (Literal["Size"], set()),
        (int, set()),
        (Any, set()),
        (None, set()),
        ("NoSuchName", set()),
        ("1 +", set()),
        ("sys.exit()", set()),
    ],
)
def test_types_are_found_in_all_that_they_may_be_wrapped_in(annotation, found):
    assert set(named_types(returns(annotation))) == found


def test_a_function_without_an_annotation_names_nothing():
    assert named_types(lambda: 1) == ()
    assert named_types(len) == ()


def test_only_the_result_counts_and_is_found_behind_wrappers():
    def plain(leaf: Leaf) -> Size: ...

    @functools.wraps(plain)
    def wrapped(*args): ...

    class Holder:
        def method(self) -> Size: ...

        @classmethod
        def of(cls) -> Size: ...

        @staticmethod
        def at() -> Size: ...

        async def later(self) -> Size: ...

        def __call__(self) -> Size: ...

    several = [
        plain,
        wrapped,
        functools.partial(plain, 1),
        Holder.method,
        Holder().method,
        Holder.of,
        Holder.at,
        Holder.later,
        Holder(),
        vars(Holder)["of"],
        vars(Holder)["at"],
    ]
    for function in several:
        assert named_types(function) == (Size,), function
    assert named_types(Leaf) == (Leaf, Point, Size)


def test_what_is_found_can_be_kept():
    serializer = ExactSerializer()._with_types(named_types(returns(Tree)))
    value = Tree([Tree([], None, 1)], Leaf(Point(1, Size.SMALL)), (2,))
    assert serializer.loads(serializer.dumps(value)) == value
