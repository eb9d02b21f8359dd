"""Each kind of damage to a data file is reported with file, row and field."""

import csv
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from domain import DomainError, load

Change = Callable[[list[dict[str, str]]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = Path(str(files("domain") / "data"))
    return Path(shutil.copytree(source, tmp_path / "data"))


def edit(folder: Path, file: str, change: Change) -> None:
    with (folder / file).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    change(rows)
    with (folder / file).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def put(row: int, field: str, value: str) -> Change:
    """Write one cell; rows as a spreadsheet counts them."""
    return lambda rows: rows[row - 2].update({field: value})


CUTOFF = "intake.cutoff_hour"
NEEDED = "office.closes_minute"

BROKEN_CELLS = [
    ("provinces.csv", 3, "code", "4", "is not a code"),
    ("provinces.csv", 3, "population", "many", "is not a whole number"),
    ("provinces.csv", 3, "population", "0", "is below 1"),
    ("provinces.csv", 3, "communes", "57", "is not 53 + 3 + 0"),
    ("provinces.csv", 3, "kind", "town", "is not known"),
    ("provinces.csv", 3, "old_codes", "", "is empty"),
    ("provinces.csv", 3, "single_centre", "", "is not known"),
    ("communes.csv", 9, "code", "0012", "is not a code"),
    ("communes.csv", 9, "province", "02", "is not in provinces.csv"),
    ("communes.csv", 9, "kind", "thon", "is not known"),
    ("communes.csv", 9, "name_vi", "", "is empty"),
    ("databases.csv", 4, "usable_rate", "1.2", "is not a share"),
    ("databases.csv", 4, "usable_rate", "nan", "is not finite"),
    ("databases.csv", 4, "evidence", "Z", "is not known"),
    ("papers.csv", 2, "database", "nowhere", "is not in databases.csv"),
    ("papers.csv", 2, "integrated", "yes", "is not known"),
    ("components.csv", 3, "databases", "dan_cu;nowhere", "is not in databases.csv"),
    ("components.csv", 3, "needed_rate", "-0.1", "is not a share"),
    ("components.csv", 2, "needed_rate", "0.9", "does not fit 'always'"),
    ("components.csv", 3, "needed_rate", "1", "does not fit 'sometimes'"),
    ("components.csv", 8, "usable_override", "0.3;0.4", "2 rates for 3 databases"),
    ("components.csv", 8, "usable_override", "0.3;0.4;7", "is not a share"),
    ("components.csv", 8, "usable_override", "0.3;a;b", "is not a list of numbers"),
    ("components.csv", 8, "paper", "papyrus", "is not in papers.csv"),
    ("components.csv", 8, "fallback", "fax", "is not known"),
    ("components.csv", 8, "procedure_code", "9.999999", "is not in procedures.csv"),
    ("procedures.csv", 6, "limit_value", "0", "is below 1"),
    ("procedures.csv", 10, "limit_value", "2", "does not fit same_day"),
    ("procedures.csv", 6, "limit_unit", "week", "is not known"),
    ("procedures.csv", 6, "counted_in", "city", "is not known"),
    ("procedures.csv", 6, "fee_online_vnd", "7.5", "is not a whole number"),
    ("procedures.csv", 16, "limit_value", "7", "its longest chain of parts takes 3 days"),
    ("procedures.csv", 16, "presence_required", "true", "its parts come to False"),
    ("procedures.csv", 16, "electronic_result", "false", "its parts come to True"),
    ("procedures.csv", 17, "fee_online_vnd", "5000", "its parts come to 0"),
    ("linked_parts.csv", 3, "procedure_code", "9.999999", "is not in procedures.csv"),
    ("linked_parts.csv", 3, "after", "the_bhyt", "is no earlier part"),
    ("linked_parts.csv", 3, "slug", "khai_sinh", "comes twice"),
    ("linked_parts.csv", 3, "limit_value", "0", "is below 1"),
    ("linked_parts.csv", 3, "limit_unit", "hour", "is not known"),
    ("other_procedures.csv", 4, "service_level", "half", "is not known"),
    ("parameters.csv", 2, "value", "a lot", "is not a number"),
    ("parameters.csv", 2, "value", "99", "is outside 0.5..1.3"),
    ("parameters.csv", 4, "prior", "0.9", "is outside 0.2..0.7"),
    ("facts.csv", 2, "value", "99", "is outside 13..37"),
    ("parameters.csv", 5, "value", "1.4", "is not a share"),
    ("province_profiles.csv", 5, "online_share", "83", "is not a share"),
    ("province_profiles.csv", 5, "volume_factor", "0", "is not positive"),
    ("province_profiles.csv", 5, "level2_share_evidence", "", "is not known"),
    ("reforms.csv", 2, "evidence", "Z", "is not known"),
    ("reform_steps.csv", 2, "reform", "no-paper", "is not in reforms.csv"),
    ("reform_steps.csv", 2, "until", "30/9/2025", "is not a date"),
    ("reform_steps.csv", 2, "until", "2025-10-08", "holds on 2025-10-08"),
    ("reform_steps.csv", 3, "until", "2025-06-30", "is before 2025-07-01"),
    ("reform_steps.csv", 2, "table", "province", "is not known"),
    ("reform_steps.csv", 2, "key", "channel.no_papers_rule", "is no parameter that may change by day"),
    ("reform_steps.csv", 2, "key", "lookup.timeout_s", "is no parameter that may change by day"),
    ("reform_steps.csv", 2, "field", "low", "is not known"),
    ("reform_steps.csv", 2, "how", "divide", "is not known"),
    ("reform_steps.csv", 2, "value", "none", "is not a number"),
    ("reform_steps.csv", 4, "value", "3", "is outside 1..2"),
    ("reform_steps.csv", 4, "low", "", "an assumed value has no range"),
    ("observations.csv", 2, "period_start", "1/1/2025", "is not a date"),
    ("observations.csv", 26, "h_code", "H99", "is not in provinces.csv"),
    ("targets.csv", 2, "value", "0.17", "have this metric, scope, name and period"),
    ("targets.csv", 2, "role", "guessed", "is not known"),
    ("targets.csv", 2, "day", "today", "is not a date"),
    ("outages.csv", 3, "window_start", "noon", "is not a time of day"),
    ("holidays.csv", 2, "date", "2025-02-30", "is not a date"),
    ("holidays.csv", 9, "date", "2025-04-25", "is not a Saturday"),
]


@pytest.mark.parametrize("case", BROKEN_CELLS, ids=lambda case: "-".join(map(str, case[:4])))
def test_a_broken_cell_is_named_with_file_row_field(folder, case):
    file, row, field, value, what = case
    edit(folder, file, put(row, field, value))
    with pytest.raises(DomainError) as caught:
        load(folder)
    assert (caught.value.file, caught.value.row, caught.value.field) == (file, row, field)
    assert what in caught.value.what
    assert str(caught.value).startswith(f"{file} row {row}, field {field}: ")
    assert caught.value.remedy


DUPLICATES = [
    ("provinces.csv", "code"),
    ("communes.csv", "code"),
    ("databases.csv", "slug"),
    ("papers.csv", "slug"),
    ("components.csv", "position"),
    ("linked_parts.csv", "position"),
    ("parameters.csv", "name"),
    ("province_profiles.csv", "code"),
    ("holidays.csv", "date"),
]


@pytest.mark.parametrize(("file", "field"), DUPLICATES)
def test_a_row_that_comes_twice_is_refused(folder, file, field):
    edit(folder, file, lambda rows: rows.append(dict(rows[0])))
    last = len((folder / file).read_text(encoding="utf-8").splitlines())
    with pytest.raises(DomainError, match="comes twice") as caught:
        load(folder)
    assert (caught.value.file, caught.value.row, caught.value.field) == (file, last, field)


def test_a_component_slug_may_come_once_per_procedure(folder):
    edit(folder, "components.csv", put(3, "slug", "mau_dc02"))
    with pytest.raises(DomainError, match=r"components\.csv row 3, field slug: '1\.012566 mau_dc02' comes twice"):
        load(folder)


def test_a_procedure_of_both_files_is_refused(folder):
    edit(folder, "other_procedures.csv", put(2, "code", "1.012566"))
    edit(folder, "other_components.csv", lambda rows: [row.update(procedure_code="1.012566") for row in rows[:3]])
    with pytest.raises(DomainError, match=r"other_procedures\.csv row 2, field code: '1\.012566' comes twice"):
        load(folder)


def test_weights_that_miss_one_are_refused(folder):
    edit(folder, "procedures.csv", put(2, "volume_weight", "0.02"))
    message = r"procedures\.csv row 2\.\.26, field volume_weight: the weights sum to 1\.01"
    with pytest.raises(DomainError, match=message):
        load(folder)


def test_a_lost_commune_is_noticed_in_its_province(folder):
    edit(folder, "communes.csv", lambda rows: rows.pop(0))
    with pytest.raises(DomainError, match=r"provinces\.csv row 2, field phuong: 51, but communes\.csv has 50"):
        load(folder)


def test_a_procedure_without_components_is_refused(folder):
    edit(folder, "components.csv", lambda rows: rows.__delitem__(slice(2)))
    with pytest.raises(DomainError, match=r"procedures\.csv row 2, field code: '1\.012566' has no component"):
        load(folder)


def test_a_province_without_a_profile_is_refused(folder):
    edit(folder, "province_profiles.csv", lambda rows: rows.pop())
    with pytest.raises(DomainError, match=r"province_profiles\.csv row 34, field code: province '96' has no row"):
        load(folder)


def test_a_parameter_a_rule_needs_must_exist(folder):
    edit(folder, "parameters.csv", lambda rows: rows.remove(next(row for row in rows if row["name"] == NEEDED)))
    with pytest.raises(DomainError, match=r"no parameter 'office\.closes_minute'"):
        load(folder)


def test_office_hours_out_of_order_are_refused(folder):
    edit(folder, "parameters.csv", lambda rows: [row.update(value="17.5") for row in rows if row["name"] == CUTOFF])
    with pytest.raises(DomainError, match=r"field office\.\*: the minutes .* are not in order; correct office"):
        load(folder)


def test_a_missing_file_is_named(folder):
    (folder / "outages.csv").unlink()
    with pytest.raises(DomainError, match=r"outages\.csv row -, field -: the file is missing"):
        load(folder)


def test_a_wrong_folder_is_told_apart_from_bad_data(tmp_path):
    with pytest.raises(DomainError, match="name the right folder"):
        load(tmp_path / "nowhere")


def test_a_file_of_only_a_header_is_refused(folder):
    header = (folder / "outages.csv").read_text(encoding="utf-8").splitlines()[0]
    (folder / "outages.csv").write_text(header + "\n", encoding="utf-8")
    with pytest.raises(DomainError, match=r"outages\.csv row 2, field no: the file has no rows"):
        load(folder)


def test_a_renamed_column_is_named(folder):
    path = folder / "databases.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("usable_rate", "rate", 1), encoding="utf-8")
    with pytest.raises(DomainError, match=r"databases\.csv row 1, field usable_rate: the header has it 0 times"):
        load(folder)


def test_a_row_with_a_lost_comma_is_named(folder):
    path = folder / "databases.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("dan_cu,", "dan_cu ", 1), encoding="utf-8")
    with pytest.raises(DomainError, match=r"databases\.csv row 2, field evidence: 6 cells for 7 columns"):
        load(folder)


def test_text_in_another_encoding_is_refused_with_its_row(folder):
    path = folder / "databases.csv"
    raw = path.read_bytes()
    path.write_bytes(raw.replace("Cơ sở dữ liệu về cư trú".encode(), b"C\xf4 s\xf4", 1))
    with pytest.raises(DomainError, match=r"databases\.csv row 3, field -: is not UTF-8"):
        load(folder)


def test_a_reform_without_a_step_is_named(folder):
    edit(folder, "reform_steps.csv", lambda rows: rows.remove(next(row for row in rows if row["reform"] == "zero-fee")))
    with pytest.raises(DomainError, match=r"reforms\.csv row \d+, field name: 'zero-fee' has no step; add its rows"):
        load(folder)
