"""Price sheets and machine shapes: those that are packaged, and what is refused."""

from decimal import Decimal

import pytest

from beambench.cost.prices.sheet import (
    UNITS,
    find_machine,
    load_sheet,
    machine_types,
    packaged_sheets,
    sheet_of,
)
from beambench.errors import UsageError

SHEET = sheet_of("us-central1")
OWN = """
name: mine
service: our machines
region: basement
currency: EUR
source: invoice
date: 2026-06-01
machines:
  box: {vcpus: 2, memory_gb: 8, per_hour: 0.1}
"""
RATE = "rates: [{resource: vcpu, unit: vCPU h, price: 0.1, modes: [batch], sku: A}]\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.real
def test_prices_are_those_of_beams_source():
    from apache_beam.testing.load_tests import dataflow_cost_consts as costs

    own = [rate for rate in SHEET.rates if rate.source is None]
    assert {rate.sku: rate.price for rate in own} == {
        name: Decimal(str(value)) for name, value in vars(costs).items() if isinstance(value, float)
    }


def test_every_sheet_has_source_date_and_sku_and_prices_what_its_jobs_are_billed_by():
    for region, sheet in packaged_sheets().items():
        assert sheet.region == region
        assert sheet.source
        assert sheet.date_means
        for mode, service in (
            ("batch", "shuffle"),
            ("streaming", "streaming"),
            ("spot", "shuffle"),
        ):
            for resource in ("vcpu", "memory", "disk", "ssd", service):
                rate = sheet.rate(resource, mode)
                assert rate is not None
                assert rate.sku
                assert rate.unit == UNITS[resource]
                assert rate.price > 0


def test_a_rate_that_was_read_elsewhere_says_where():
    spot_only = [rate for rate in SHEET.rates if rate.modes == ["spot"]]
    assert len(spot_only) == 3
    assert all("second hand" in (rate.source or "") for rate in spot_only)


@pytest.mark.parametrize(
    ("name", "vcpus", "memory"),
    [
        ("n1-standard-1", 1, 3.75),
        ("n1-standard-2", 2, 7.5),
        ("n1-standard-8", 8, 30),
        ("n1-standard-96", 96, 360),
        ("n2-standard-8", 8, 32),
        ("n2d-standard-224", 224, 896),
        ("e2-standard-4", 4, 16),
        ("c2-standard-30", 30, 120),
        ("c3-standard-22", 22, 88),
        ("g2-standard-4", 4, 16),
        ("a2-highgpu-1g", 12, 85),
    ],
)
def test_shapes(name, vcpus, memory):
    machine = machine_types()[name]
    assert (machine.vcpus, machine.memory_gb) == (vcpus, memory)


def test_what_families_are_sure_to_have():
    shapes = machine_types()
    assert "avx512_bf16" not in shapes["n1-standard-2"].instructions
    assert "avx2" not in shapes["n1-standard-2"].instructions
    assert "avx2" in shapes["e2-standard-2"].instructions
    assert "avx512f" in shapes["n2-standard-2"].instructions
    assert "avx512_bf16" not in shapes["n2-standard-2"].instructions
    assert {"avx512_bf16", "amx_bf16"} <= set(shapes["c3-standard-4"].instructions)
    assert (shapes["g2-standard-48"].gpu, shapes["g2-standard-48"].gpus) == ("nvidia-l4", 4)
    assert shapes["n1-standard-2"].gpus == 0


def test_a_sheet_of_ones_own(write):
    sheet = load_sheet(write(OWN))
    assert sheet.machines["box"].per_hour == Decimal("0.1")
    assert find_machine("box", sheet).vcpus == 2


def test_the_suites_machines_have_no_price_where_only_own_machines_have(write):
    with pytest.raises(UsageError, match="'n1-standard-2'; it has: box"):
        find_machine("n1-standard-2", load_sheet(write(OWN)))


def test_own_rates_price_the_machines_of_compute_engine(write):
    sheet = load_sheet(write(OWN.partition("machines:")[0] + RATE))
    assert find_machine("n1-standard-2", sheet).vcpus == 2


def test_an_unknown_machine_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'n1-standard-2'"):
        find_machine("n1-standart-2", SHEET)


def test_an_unknown_region_says_which_there_are():
    with pytest.raises(UsageError, match=r"'us-central2'.*did you mean 'us-central1'.*--sheet"):
        sheet_of("us-central2")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("currency: EUR", "currancy: EUR", "unknown key currancy .did you mean 'currency'"),
        ("per_hour: 0.1", "per_hou: 0.1", "machines.box.per_hou .did you mean 'per_hour'"),
        ("per_hour: 0.1", "per_hour: -1", "machines.box.per_hour: .*greater than or equal to 0"),
        ("per_hour: 0.1", "per_hour: cheap", "machines.box.per_hour: expected a number"),
        ("per_hour: 0.1", "per_hour: true", "machines.box.per_hour: expected a number"),
        ("per_hour: 0.1", "per_hour: NaN", "machines.box.per_hour: .*finite"),
        ("2026-06-01", "yesterday", "date: expected a date such as 2026-01-31"),
        ("currency: EUR", "currency: euro", "currency"),
        ("source: invoice", 'source: ""', "source"),
        ("vcpus: 2", "vcpus: 0", "machines.box.vcpus"),
        ("vcpus: 2", "vcpus: 9000000000", "machines.box.vcpus: .*less than or equal to"),
        ("memory_gb: 8", "memory_gb: 1e+300", "machines.box.memory_gb: .*less than or equal to"),
        ("per_hour: 0.1", "per_hour: 1e300", "machines.box.per_hour: .*less than or equal to"),
    ],
)
def test_a_bad_sheet_is_refused_with_file_and_key(write, old, new, message):
    assert old in OWN
    path = write(OWN.replace(old, new))
    with pytest.raises(UsageError, match=f"^{path}: .*{message}"):
        load_sheet(path)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (RATE.replace("vCPU h", "h"), "vcpu is priced by `unit: vCPU h`"),
        (RATE.replace("resource: vcpu", "resource: gpu").replace("vCPU h", "GPU h"), "`gpu` is"),
        (RATE.replace("sku: A", "sku: A, gpu: t4"), "`gpu` is needed with resource: gpu"),
        (RATE.replace("modes: [batch]", "modes: []"), "rates.0.modes"),
        (RATE.replace("price", "prize"), "rates.0.prize .did you mean 'price'"),
        (RATE.replace("}]", "}, {resource: vcpu, unit: vCPU h, price: 1, modes: [batch], sku: B}]"),
         "vcpu has two prices for batch"),
    ],
)  # fmt: skip
def test_a_bad_rate_is_refused(write, rates, message):
    path = write(OWN + rates)
    with pytest.raises(UsageError, match=message):
        load_sheet(path)


def test_a_sheet_without_a_price_is_none(write):
    with pytest.raises(UsageError, match="needs `rates` or `machines`"):
        load_sheet(write(OWN.partition("machines:")[0]))


def test_what_is_no_sheet_at_all(write, tmp_path):
    with pytest.raises(UsageError, match="expected `key: value` lines of a price sheet"):
        load_sheet(write("- 1\n"))
    with pytest.raises(UsageError, match="is a folder, not a price sheet"):
        load_sheet(tmp_path)
    with pytest.raises(UsageError, match="No such file"):
        load_sheet(tmp_path / "absent.yaml")
