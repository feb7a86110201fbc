import pytest
from main import parse, report, store

TEXT = "# a comment\n2026-03-02T09:00 P-1 SCANNED Hamburg\n\n2026-03-03T11:00 P-1 DELIVERED Kiel\n"


def test_a_delivered_parcel_is_on_time():
    assert report(store(parse(TEXT))) == ["P-1 DELIVERED Kiel 26h on time"]


def test_a_parcel_not_delivered_after_48_hours_is_late():
    text = TEXT + "2026-03-01T10:00 P-2 SCANNED Bremen\n"
    assert report(store(parse(text)))[1] == "P-2 SCANNED Bremen 49h LATE"


def test_exactly_48_hours_is_not_late():
    text = "2026-03-01T09:00 P-3 SCANNED Ulm\n2026-03-03T09:00 P-3 IN_TRANSIT Ulm\n"
    assert report(store(parse(text))) == ["P-3 IN_TRANSIT Ulm 48h on time"]


def test_a_line_that_is_wrong_is_named():
    with pytest.raises(ValueError, match="line 1"):
        parse("nonsense")


def test_no_events_give_no_report():
    assert report(store(parse("\n# nothing\n"))) == []
