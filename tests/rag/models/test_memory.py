"""The arithmetic of `rag models fit`."""

import pytest

from rag.errors import UsageError
from rag.models.catalog import Decoder
from rag.models.memory import Need, cache_bytes, encoder_need, need, parse_parameters, weights_gb


def test_seven_billion_at_four_bits_take_4_2_gb() -> None:
    assert weights_gb(7e9, 4) == pytest.approx(4.2)


def test_sixteen_bits_take_four_times_as_much_as_four() -> None:
    assert weights_gb(1e9, 16) == pytest.approx(4 * weights_gb(1e9, 4)) == pytest.approx(2.4)


def test_the_cache_of_a_known_network_is_exact() -> None:
    qwen = Decoder(1.5e9, 4, layers=28, kv_heads=2, head_dim=128, context=32768)
    assert cache_bytes(1.5e9, qwen) == 2 * 2 * 28 * 2 * 128 == 28672


def test_the_cache_of_an_unknown_network_lies_between_its_neighbours() -> None:
    assert cache_bytes(8e9) == 131_072
    assert 28_672 < cache_bytes(7e9) < 131_072
    assert cache_bytes(140e9) == 2 * 327_680


def test_it_fits_when_weights_context_and_reserve_do() -> None:
    assert need(7e9, 4, 0, memory_gb=5.2, bandwidth=35e9).fits
    assert not need(7e9, 4, 0, memory_gb=5.1, bandwidth=35e9).fits


def test_speed_is_bandwidth_over_the_bytes_of_the_model() -> None:
    found = need(7e9, 4, 0, memory_gb=16, bandwidth=35e9)
    assert found.tokens_per_second == pytest.approx(10.0)
    assert found.speed_class == "10-20"


def test_an_encoder_is_limited_by_arithmetic() -> None:
    assert encoder_need(4e9, 250e6, memory_gb=16, flops=100e9).tokens_per_second == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("speed", "name"),
    [(9.9, "<10"), (10, "10-20"), (19.9, "10-20"), (20, "20-50"), (50, "50-100"), (99.9, "50-100"), (100, ">100")],
)
def test_speed_classes(speed: float, name: str) -> None:
    assert Need(1, 1, 1, True, speed).speed_class == name


@pytest.mark.parametrize(
    ("text", "number"), [("7B", 7e9), ("1.5b", 1.5e9), ("135M", 135e6), ("500000", 5e5), (" 7 B ", 7e9)]
)
def test_parameters_as_people_write_them(text: str, number: float) -> None:
    assert parse_parameters(text) == number


@pytest.mark.parametrize("text", ["", "x", "7G", "-1B", "0B", "7B7"])
def test_what_is_no_number_of_parameters_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="7B"):
        parse_parameters(text)


@pytest.mark.parametrize(("parameters", "bits", "context"), [(0, 4, 1), (1e9, 0, 1), (1e9, 33, 1), (1e9, 4, -1)])
def test_senseless_sizes_are_refused(parameters: float, bits: float, context: int) -> None:
    with pytest.raises(UsageError):
        need(parameters, bits, context, memory_gb=1, bandwidth=1)
