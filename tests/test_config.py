import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinystories.config import Axis, ModelConfig, TrialConfig, divisors, field_names, parse_number, value_type

SHAPE = {"depth": 2, "width": 64, "heads": 4}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, r"width 64 is not divisible by heads 5; allowed heads: 1, 2, 4, 8, 16, 32, 64"),
        ({"depth": 0}, "depth 0 must be above 0"),
        ({"width": -64}, "width -64 must be above 0"),
        ({"context": 0}, "context 0 must be above 0"),
        ({"budget": 0}, "budget 0 must be above 0"),
        ({"budget": float("nan")}, "budget nan is not a finite number"),
        ({"budget": float("inf")}, "budget inf is not a finite number"),
        ({"budget": 10**400}, "budget 1000+ is not a finite number"),
        ({"gradient_clip": "1"}, "gradient_clip '1' is not a finite number"),
        ({"depth": 1.5}, "depth 1.5 is not a whole number"),
        ({"width": True}, "width True is not a whole number"),
        ({"seed": -1}, "seed -1 is not among 0 to"),
        ({"seed": 2**63}, "seed 9223372036854775808 is not among 0 to"),
        ({"dtype": "float16"}, "dtype 'float16' is not one of auto, float32, bfloat16"),
        ({"scale_learning_rate": 1}, "scale_learning_rate 1 is not true or false"),
        ({"evaluations": 0}, "evaluations 0 must be above 0"),
        ({"batch_size": 0}, "batch_size 0 must be above 0"),
        ({"learning_rate": 0.0}, "learning_rate 0.0 must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay -0.1 is below 0"),
        ({"mlp_ratio": 0}, "mlp_ratio 0 must be above 0"),
        ({"mlp_ratio": 2.5}, "mlp_ratio 2.5 is not a whole number"),
        ({"dropout": 1.0}, "dropout 1.0 is not at least 0 and below 1"),
        ({"beta2": 1}, "beta2 1 is not at least 0 and below 1"),
        ({"beta1": -0.1}, "beta1 -0.1 is not at least 0 and below 1"),
        ({"epsilon": 0}, "epsilon 0 must be above 0"),
        ({"evaluation_tokens": 0}, "evaluation_tokens 0 must be above 0"),
        ({"evaluation_tokens": 1.5}, "evaluation_tokens 1.5 is not a whole number"),
        ({"axis": "epochs"}, "axis 'epochs' is not one of tokens, flops, seconds"),
        ({"warmup": 0.5, "cooldown": 0.5}, r"warmup 0.5 and cooldown 0.5: .* together below 1"),
    ],
)
def test_trial_that_cannot_be_is_refused_by_value(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrialConfig(**SHAPE | {"budget": 1e6} | change)  # type: ignore[arg-type]


def test_trial_hands_its_shape_to_the_model() -> None:
    others = {"context": 128, "window": 32, "mlp_ratio": 2, "dropout": 0.1}
    trial = TrialConfig(**SHAPE, **others, budget=1e6, batch_size=8)  # type: ignore[arg-type]

    assert trial.model(vocab_size=50) == ModelConfig(**SHAPE, **others, vocab_size=50)  # type: ignore[arg-type]
    assert trial.model(vocab_size=50).head_dim == 16
    assert trial.tokens_per_step == 1024


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2M", 2e6),
        ("500k", 5e5),
        ("1.5B", 1.5e9),
        ("3e13", 3e13),
        (" 2_000_000 ", 2e6),
        ("1,500,000", 1.5e6),
        ("1,500k", 1.5e6),
        (7, 7.0),
        (0.5, 0.5),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str | float, number: float) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "M", "two", "1.5T", "nan", "inf", "1 2 x", "1,5M", "0,500", "1,50", "1,5000", "1,500,00"]
)
def test_other_text_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number; write 2000000, 2M, 500k, 1.5B or 3e13"):
        parse_number(text)


@given(number=st.integers(1, 500))
def test_divisors_divide_and_none_is_missing(number: int) -> None:
    found = divisors(number)

    assert found == sorted(found)
    assert all((candidate in found) == (number % candidate == 0) for candidate in range(1, number + 1))


def test_field_names_keep_their_order() -> None:
    shape = ("depth", "width", "heads", "vocab_size", "context", "window", "mlp_ratio", "dropout")

    assert field_names(ModelConfig) == shape


@pytest.mark.parametrize(("annotation", "kind"), [(int | None, int), (int, int), (Axis, Axis)])
def test_the_type_of_an_optional_value_is_that_of_the_value(annotation: object, kind: object) -> None:
    assert value_type(annotation) is kind
