"""Keys that people make: a callable, with the context or without, or a template."""

from __future__ import annotations

import datetime
import enum
import functools
import uuid
from decimal import Decimal
from types import SimpleNamespace

import pytest
from cachine import cached
from cachine.decorators.cached import KeyContext
from cachine.exceptions import ConfigError, InvalidKeyError, UnkeyableArgumentError
from hypothesis import given, settings
from hypothesis import strategies as st


def load(user, page=1):
    return [user, page]


def named(ctx, user, page=1):
    return f"{ctx.qualname}/{user}/{page}"


def annotated(context: KeyContext, user, page=1):
    return f"{context.qualname}/{user}/{page}"


def written(context: "KeyContext", user, page=1):  # noqa: UP037
    return f"{context.qualname}/{user}/{page}"


def qualified(context: "cached.KeyContext", user, page=1):  # noqa: F821, UP037
    return f"{context.qualname}/{user}/{page}"


def everything(*args, **kwargs):
    return f"{args[0].qualname}/{'/'.join(map(str, args[1:]))}/{kwargs.get('page', 1)}"


class Builder:
    def __call__(self, ctx, user, page=1):
        return f"{ctx.qualname}/{user}/{page}"

    def method(self, ctx, user, page=1):
        return f"{ctx.qualname}/{user}/{page}"


WITH_CONTEXT = [
    named,
    annotated,
    written,
    qualified,
    everything,
    Builder(),
    Builder().method,
    functools.partial(named),
    lambda *args, page=1: everything(*args, page=page),
]


@pytest.mark.parametrize("builder", WITH_CONTEXT)
def test_a_builder_that_asks_for_the_context_gets_it(cache, builder):
    f = cached(cache, key_builder=builder)(load)
    assert f.cache_key("ann") == "load/ann/1"
    assert f.cache_key("ann", page=2) == "load/ann/2"
    assert f("ann") is f("ann")
    assert cache.get("load/ann/1") == ["ann", 1]


def plain(user, page=1):
    return f"plain/{user}/{page}"


def only_by_name(*, user, page=1, ctx="not the context"):
    return f"plain/{user}/{page}"


WITHOUT_CONTEXT = [
    plain,
    lambda user, ctx=1, page=1: f"plain/{user}/{page}",
    lambda user, **more: f"plain/{user}/{more.get('page', 1)}",
    functools.partial(plain),
]


@pytest.mark.parametrize("builder", WITHOUT_CONTEXT)
def test_a_builder_that_does_not_ask_gets_the_arguments_alone(cache, builder):
    f = cached(cache, key_builder=builder)(load)
    assert f.cache_key("ann") == "plain/ann/1"
    assert f.cache_key("ann", page=2) == "plain/ann/2"


def test_a_context_that_can_only_be_named_is_not_taken_for_the_first_parameter(cache):
    f = cached(cache, key_builder=only_by_name)(load)
    assert f.cache_key(user="ann") == "plain/ann/1"


def test_the_context_says_which_function_it_is(cache):
    seen = []

    def build(ctx, user, page=1):
        seen.append(ctx)
        return "k"

    cached(cache, key_builder=build, version="v7")(load).cache_key("ann")
    (context,) = seen
    assert context == KeyContext(__name__, "load", f"{__name__}.load", "v7")
    assert (context.module, context.qualname) == (__name__, "load")
    assert (context.full_name, context.version) == (f"{__name__}.load", "v7")


def test_whether_the_context_is_wanted_is_no_trial(cache):
    calls = []

    def build(user, page=1):
        calls.append(user)
        raise TypeError("the builder's own")

    f = cached(cache, key_builder=build)(load)
    with pytest.raises(TypeError, match="the builder's own"):
        f("ann")
    assert calls == ["ann"]


def test_a_builder_of_a_method_gets_the_instance(cache):
    class Shop:
        name = "s1"

        @cached(cache, key_builder=lambda self, x: f"{self.name}:{x}")
        def price(self, x):
            return [x]

    assert Shop().price(1) is Shop().price(1)
    assert cache.get("s1:1") == [1]


def test_both_the_version_and_the_builder_are_honoured(cache):
    versions = ["1", "2", None]
    functions = [cached(cache, key_builder=plain, version=version)(load) for version in versions]
    values = [function("ann") for function in functions]
    assert len({id(value) for value in values}) == 3
    assert functions[2].cache_key("ann") == "plain/ann/1", "without one the key is as it was built"


@pytest.mark.parametrize("wrong", [1, None, b"k", ["k"]])
def test_a_builder_has_to_return_a_str(cache, wrong):
    f = cached(cache, key_builder=lambda user: wrong)(lambda user: user)
    with pytest.raises(TypeError, match=f"must return a str, not {type(wrong).__name__}"):
        f("ann")


@pytest.mark.parametrize("wrong", ["", "a:~cachine~b", "\ud800"])
def test_a_built_key_has_to_be_a_key(cache, wrong):
    f = cached(cache, key_builder=lambda user: wrong)(lambda user: user)
    with pytest.raises(InvalidKeyError):
        f("ann")


@pytest.mark.parametrize("wrong", [1, b"user:{user}", ["user"], object()])
def test_what_is_no_builder_is_refused_at_decoration(cache, wrong):
    with pytest.raises(TypeError, match="key_builder must be a callable, a template"):
        cached(cache, key_builder=wrong)


# Templates.


def test_a_template_is_filled_from_the_bound_arguments(cache):
    f = cached(cache, key_builder="user:{user}:{page}")(load)
    assert f.cache_key("ann") == f.cache_key(user="ann", page=1) == "user:ann:1"
    assert f("ann") is f("ann", 1)
    assert cache.get("user:ann:1") == ["ann", 1]
    constant = cached(cache, key_builder="all {{users}}")(load)
    assert constant.cache_key("ann") == "all {users}"


class Side(enum.Enum):
    LEFT = 1


class Account:
    def __cache_key__(self):
        return "acme", 7


FILLED = [
    ("ann", "ann"),
    ("a:b", "a%3Ab"),
    ("a/b", "a/b"),
    ("50%", "50%25"),
    (-1, "-1"),
    (True, "%True"),
    (None, "%None"),
    (1.5, "%f1.5"),
    (b"\x00a", "%b0061"),
    (("a", 1), "%ta,1,"),
    (Side.LEFT, "LEFT"),
    (Account(), "%tacme,7,"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Decimal("1.50"), "1.50"),
    (datetime.date(2024, 1, 2), "2024-01-02"),
]


@pytest.mark.parametrize(("value", "text"), FILLED)
def test_a_field_has_a_readable_form_of_its_value(cache, value, text):
    assert cached(cache, key_builder="u:{user}")(load).cache_key(value) == f"u:{text}"


simple = st.one_of(
    st.text(alphabet="ab1%:,-.25TrueNontfb", max_size=6),
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.binary(max_size=3),
    st.tuples(st.text(alphabet="ab,%:", max_size=3)),
)


@pytest.mark.parametrize("between", [":", "-", ".", ",", "--", "→", " "])
@settings(max_examples=80, deadline=None)
@given(one=st.tuples(simple, simple), other=st.tuples(simple, simple))
def test_no_value_can_pass_for_two(between, one, other):
    from cachine import InMemoryCache

    f = cached(InMemoryCache(), key_builder="{user}" + between + "{page}")(load)
    typed = [[(type(part), repr(part)) for part in pair] for pair in (one, other)]
    assert (f.cache_key(*one) == f.cache_key(*other)) == (typed[0] == typed[1])


@pytest.mark.parametrize(
    "attack", [(("", "1-2"), (-1, 2)), ((25.0, ""), ("%.0", "")), (("a-b", "c"), ("a", "b-c"))]
)
def test_numbers_are_escaped_like_texts(cache, attack):
    f = cached(cache, key_builder="{user}-{page}")(load)
    assert f.cache_key(*attack[0]) != f.cache_key(*attack[1])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("user:{nobody}", r"\{nobody\} is no parameter .* accepted: \{user\}, \{page\}"),
        ("user:{}", "is no parameter"),
        ("user:{0}", "is no parameter"),
        ("user:{user.name}", "is no parameter"),
        ("user:{user!r}", "is no parameter"),
        ("user:{page:03d}", "is no parameter"),
        ("{user}{page}", "put a separator such as ':' behind"),
        ("{user}x{page}", "put a separator such as ':' behind"),
        ("{user}%{page}", "put a separator such as ':' behind"),
        ("user:{user", "is no template"),
    ],
)
def test_a_template_that_can_not_work_is_refused_at_decoration(cache, template, message):
    with pytest.raises(ConfigError, match=message):
        cached(cache, key_builder=template)(load)


def test_a_value_without_a_text_is_refused_with_the_cures(cache):
    f = cached(cache, key_builder="u:{user}")(load)
    for wrong in (SimpleNamespace(), [1], {"a": 1}, load):
        with pytest.raises(UnkeyableArgumentError) as caught:
            f(wrong)
        message = str(caught.value)
        assert "argument 'user' of" in message and type(wrong).__name__ in message
        assert "__cache_key__" in message and "key_builder" in message
