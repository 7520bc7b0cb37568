"""Every line of bad-input.md on time: exact to the nanosecond, and never guessed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from km_cli.mapping.times import LOCAL_EPOCH, AmbiguousTime, BadTime, TimeOptions, Times

S = 1_704_067_200
"""2024-01-01T00:00:00Z in seconds."""

NS = 10**9
NOW = S + 366 * 86_400
BERLIN = TimeOptions("Europe/Berlin")


def parse(text: str, time_options: TimeOptions = TimeOptions()) -> int:  # noqa: B008
    return Times(time_options, NOW).parse(text)


FINE: list[tuple[str, int]] = [
    # seconds since 1970
    ("1704067200", S * NS),
    (" 1704067200\t", S * NS),
    ("+1704067200", S * NS),
    ("1704067200.5", S * NS + 500_000_000),
    ("1704067200.123456789", S * NS + 123_456_789),
    ("1704067200.1234567899", S * NS + 123_456_789),
    ("1704067200.99999999999999999999999999999999999", S * NS + 999_999_999),
    ("1.7040672e9", S * NS),
    ("1230768000", 1_230_768_000 * NS),
    # by magnitude
    ("1704067200123", S * NS + 123_000_000),
    ("1704067200123.5", S * NS + 123_500_000),
    ("1704067200123456", S * NS + 123_456_000),
    ("1704067200123456789", S * NS + 123_456_789),
    ("1704067200123456789.9", S * NS + 123_456_789),
    ("1230768000000", 1_230_768_000 * NS),
    # ISO 8601
    ("2024-01-01T00:00:00Z", S * NS),
    ("2024-01-01T00:00:00z", S * NS),
    ("2024-01-01 00:00:00Z", S * NS),
    ("2024-01-01T01:00:00+01:00", S * NS),
    ("2024-01-01T01:00:00+0100", S * NS),
    ("2024-01-01 01:00:00+01", S * NS),
    ("2023-12-31T18:30:00-05:30", S * NS),
    ("20240101T000000Z", S * NS),
    ("2024-W01-1T00:00Z", S * NS),
    ("2024-01-01T00Z", S * NS),
    ("2024-01-01T00:00:00.5Z", S * NS + 500_000_000),
    ("2024-01-01T00:00:00,5Z", S * NS + 500_000_000),
    ("2024-01-01T00:00:00.123456Z", S * NS + 123_456_000),
    ("2024-01-01T00:00:00.1234567Z", S * NS + 123_456_700),
    ("2024-01-01T00:00:00.12345678+00:00", S * NS + 123_456_780),
    ("2024-01-01T00:00:00.123456789Z", S * NS + 123_456_789),
    ("2024-01-01T00:00:00.1234567899Z", S * NS + 123_456_789),
    ("2024-01-01 00:00:00.000000001 UTC", S * NS + 1),
    ("20240101T000000.1234567Z", S * NS + 123_456_700),
    ("2024-01-01T000000.1234567Z", S * NS + 123_456_700),
    ("2024-W01-1T00:00:00.1234567Z", S * NS + 123_456_700),
    # as Ruby and databases print it
    ("2024-01-01 00:00:00 UTC", S * NS),
    ("2024-01-01 00:00:00 GMT", S * NS),
    ("2024-01-01 01:00:00 +0100", S * NS),
    ("2024-01-01 01:00:00.5 +01:00", S * NS + 500_000_000),
    # RFC 2822
    ("Mon, 01 Jan 2024 00:00:00 +0000", S * NS),
    ("Mon, 01 Jan 2024 00:00:00 GMT", S * NS),
    ("1 Jan 2024 01:00:00 +0100", S * NS),
    ("Mon, 1 Jan 2024 00:00 UT", S * NS),
    ("Mon, 01 Jan 2024 00:00:00 -0000", S * NS),
    ("Sun, 31 Dec 2023 19:00:00 EST", S * NS),
    ("Mon, 01 Jan 2024 01:00:00 +0100 (CET)", S * NS),
    # day and month in either order, and one reading only
    ("13/04/2024 00:00:00Z", 1_712_966_400 * NS),
    ("04/13/2024 00:00:00 UTC", 1_712_966_400 * NS),
    ("13.4.2024 02:00 +0200", 1_712_966_400 * NS),
    ("13-04-2024T00:00:00.1234567Z", 1_712_966_400 * NS + 123_456_700),
    ("13/04/2024 00:00:00.123456789+00:00", 1_712_966_400 * NS + 123_456_789),
    ("4/13/2024, 12:00 AM GMT", 1_712_966_400 * NS),
    ("4/13/2024 1:30:05 pm UTC", 1_713_015_005 * NS),
    ("13/04/2024 12 pm Z", 1_713_009_600 * NS),
    ("2024/04/13 00:00:00Z", 1_712_966_400 * NS),
    ("2024.13.04 00:00Z", 1_712_966_400 * NS),
    ("04/04/2024 00:00Z", 1_712_188_800 * NS),
    ("29/02/2024 00:00Z", 1_709_164_800 * NS),
    ("31/12/2016 23:59:60Z", 1_483_228_799 * NS),
    # leap seconds
    ("2016-12-31T23:59:60Z", 1_483_228_799 * NS),
    ("2016-12-31T23:59:60.25Z", 1_483_228_799 * NS + 250_000_000),
    ("2016-12-31 23:59:60 UTC", 1_483_228_799 * NS),
    ("2017-01-01T00:59:60+01:00", 1_483_228_799 * NS),
    ("Sat, 31 Dec 2016 23:59:60 +0000", 1_483_228_799 * NS),
    # the edges
    ("2009-01-01T00:00:00Z", 1_230_768_000 * NS),
    (str(NOW + 86_400), (NOW + 86_400) * NS),
]


@pytest.mark.parametrize(("text", "moment"), FINE)
@pytest.mark.parametrize("time_options", [TimeOptions(), BERLIN], ids=["no zone", "Berlin"])
def test_times_that_say_it_all(text: str, moment: int, time_options: TimeOptions) -> None:
    """A zone for the others changes nothing about them."""
    times = Times(time_options, NOW)
    assert times.parse(text) == moment
    assert times.leap_second == (":60" in text)


BAD: list[tuple[str, str]] = [
    ("", "it has no time"),
    ("  ", "it has no time"),
    ("0", "zero"),
    ("0.0", "zero"),
    ("-0", "zero"),
    ("-1704067200", "zero or less"),
    ("-1704067200.5", "zero or less"),
    ("0000-00-00", "out of range"),
    ("0000-00-00 00:00:00", "out of range"),
    ("0000-00-00T00:00:00Z", "out of range"),
    ("1", "before 2009"),
    ("1230767999.999999999", "before 2009"),
    ("1230767999999", "before 2009"),
    ("2008-12-31T23:59:59.999999999Z", "before 2009"),
    ("1970-01-01T00:00:00Z", "before 2009"),
    ("0001-01-01T00:00:00Z", "before 2009"),
    ("0001-01-01T00:00:00+14:00", "before 2009"),
    ("20240101", "before 2009"),
    (str(NOW + 86_401), "more than a day ahead"),
    ("9999-12-31T23:59:59Z", "more than a day ahead"),
    ("9999-12-31T23:59:59-14:00", "more than a day ahead"),
    ("20240101000000", "more than a day ahead"),
    ("9" * 20, "more than a day ahead"),
    ("9" * 21, "too large a number"),
    ("9" * 5000, "not a number that can be a time"),
    ("1e400", "too large a number"),
    ("1e-400", "before 2009"),
    ("1e99999999999999999999", "not a number that can be a time"),
    ("never", "a form that km-cli does not know"),
    ("now", "a form that km-cli does not know"),
    ("NaN", "a form that km-cli does not know"),
    ("1_704_067_200", "a form that km-cli does not know"),
    ("0x6592", "a form that km-cli does not know"),
    ("١٧٠٤٠٦٧٢٠٠", "a form that km-cli does not know"),
    ("1704067200s", "a form that km-cli does not know"),
    ("2024", "before 2009"),
    ("2024-01", "a form that km-cli does not know"),
    ("2024-13-01T00:00:00Z", "a month that does not exist: 13"),
    ("2024-00-01", "a month that does not exist: 0"),
    ("2024-02-30T00:00:00Z", "a day that does not exist: 30 February 2024"),
    ("2023-02-29", "a day that does not exist: 29 February 2023"),
    ("20240230T000000Z", "a day that does not exist: 30 February 2024"),
    ("2024-01-00", "a day that does not exist: 0 January 2024"),
    ("30/02/2024", "a day that does not exist: 30 February 2024"),
    ("02/30/2024 10:00", "a day that does not exist: 30 February 2024"),
    ("31.04.2024 10:00Z", "a day that does not exist: 31 April 2024"),
    ("13/13/2024", "a day that does not exist"),
    ("00/00/0000", "a day that does not exist"),
    ("Fri, 30 Feb 2024 00:00:00 +0000", "a day that does not exist: 30 February 2024"),
    ("2024-01-01T25:00:00Z", "a time of day that does not exist"),
    ("2024-01-01 23:61", "a time of day that does not exist"),
    ("2024-01-01T24:00:00Z", "24:00: midnight is 00:00:00 of the next day"),
    ("2024-01-01 24:00:00", "24:00: midnight"),
    ("20240101T240000Z", "24:00: midnight"),
    ("13/04/2024 24:00Z", "24:00: midnight"),
    ("Mon, 01 Jan 2024 24:00:00 +0000", "24:00: midnight"),
    ("2024-01-01T24:30:00Z", "a time of day that does not exist"),
    ("2024-01-01T00:00:61Z", "a time of day that does not exist"),
    ("2024-01-01T00:00:00+25:00", "has the offset +25:00, which no zone has"),
    ("2024-01-01T00:00:00.5-2400", "has the offset -2400, which no zone has"),
    ("Mon, 01 Jan 2024 00:00:00 +2500", "has the offset +2500, which no zone has"),
    ("13/04/2024 noon", "a form that km-cli does not know"),
    ("13/04/2024 13:00 PM", "a form that km-cli does not know"),
    ("13/04/2024 10", "a form that km-cli does not know"),
    ("13/04/2024 10:00 CET", "a form that km-cli does not know"),
    ("13/04/1999 00:00Z", "before 2009"),
    ("2024-01-01T00:00:00 +0000 UTC", "a form that km-cli does not know"),
    ("12:30:00", "a form that km-cli does not know"),
    ("1.2.3", "a form that km-cli does not know"),
    ("Mon, 32 Jan 2024 00:00:00 +0000", "a day that does not exist: 32 January 2024"),
    ("Mon, 01 Jan 2024 00:00:00 +99999999999999", "a form that km-cli does not know"),
    ("Mon, 01 Jan 2024 00:00:00 CET", "unknown zone, 'CET'"),
    ("Mon Jan 01 2024 00:00:00 GMT+0100 (CET)", "unknown zone"),
    ("\x1b[31m", "a form that km-cli does not know"),
    ("x" * 100_000, "…"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[text[:20] for text, _ in BAD])
@pytest.mark.parametrize("time_options", [TimeOptions(), BERLIN], ids=["no zone", "Berlin"])
def test_texts_that_are_no_time(text: str, said: str, time_options: TimeOptions) -> None:
    """The row is rejected; the reason shows the text, escaped and not at length."""
    with pytest.raises(BadTime) as raised:
        parse(text, time_options)
    assert said in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 150


UNCLEAR: list[tuple[str, str, str]] = [
    ("2024-01-01", "offset", "--timezone"),
    ("2024-01-01T00:00:00", "offset", "--timezone"),
    ("2024-01-01 00:00:00.123456789", "offset", "--timezone"),
    ("Mon, 01 Jan 2024 00:00:00", "offset", "--timezone"),
    ("2016-12-31T23:59:60", "offset", "--timezone"),
    ("03/04/2024", "several ways", "--time-format '%d/%m/%Y', or '%m/%d/%Y'"),
    ("3/4/2024 5:06", "several ways", "--time-format '%d/%m/%Y"),
    ("03/04/2024 10:20", "several ways", "'%d/%m/%Y %H:%M'"),
    ("03/04/2024 10:20:30", "several ways", "'%d/%m/%Y %H:%M:%S'"),
    ("3/4/2024 5:06", "several ways", "'%d/%m/%Y %H:%M'"),
    ("03/04/2024 10:20:30.5", "several ways", "'%d/%m/%Y %H:%M:%S.%f'"),
    ("01/02/2024 10:00 PM", "several ways", "'%d/%m/%Y %I:%M %p'"),
    ("1/2/24, 10:00:05am", "several ways", "'%d/%m/%y, %I:%M:%S%p'"),
    ("1/2/2024 10 pm", "several ways", "'%d/%m/%Y %I %p'"),
    ("01/02/2024 10:00 +0100", "several ways", "'%d/%m/%Y %H:%M %z'"),
    ("13/04/2024", "offset", "--timezone"),
    ("13/04/24", "several ways", "'%d/%m/%y'"),
    ("04/13/2024 10:00", "offset", "--timezone"),
    ("03/04/24", "several ways", "'%d/%m/%y'"),
    ("03.04.2024", "several ways", "'%d.%m.%Y', or '%m.%d.%Y'"),
    ("03-04-2024", "several ways", "'%d-%m-%Y', or '%m-%d-%Y'"),
    ("2024/03/04 10:20:30", "several ways", "'%Y/%m/%d %H:%M:%S', or '%Y/%d/%m %H:%M:%S'"),
    ("01/03/2024T09:00:00Z", "several ways", "'%d/%m/%YT%H:%M:%S%z', or '%m/%d/%YT%H:%M:%S%z'"),
    ("01/03/2024T09:00:00.25+0100", "several ways", "'%d/%m/%YT%H:%M:%S.%f%z'"),
    ("2024/03/04T10:20", "several ways", "'%Y/%m/%dT%H:%M', or '%Y/%d/%mT%H:%M'"),
]


@pytest.mark.parametrize(("text", "said", "cure"), UNCLEAR)
def test_times_that_need_a_flag(text: str, said: str, cure: str) -> None:
    """The input stops, and the flag is named as it should be written. Each form can read this time."""
    with pytest.raises(AmbiguousTime, match=said) as raised:
        parse(text)
    assert text[:10] in str(raised.value) or said == "offset"
    assert cure in raised.value.cure
    for form in re.findall(r"'(%[^']+)'", raised.value.cure):
        assert not re.search(r"\d", form)
        assert parse(text, TimeOptions("UTC", form))


def test_a_proven_order_is_not_taken_for_the_next_date() -> None:
    """Nothing is guessed. The error says what the column shows so far, and names the one flag that fits."""
    times = Times(TimeOptions("UTC"), NOW)
    times.parse("13/04/2024 10:00")
    with pytest.raises(AmbiguousTime, match="in '13/04/2024 10:00' before it the day comes first") as raised:
        times.parse("03/04/2024 10:20")
    assert raised.value.cure == "name the form: --time-format '%d/%m/%Y %H:%M'"
    times = Times(TimeOptions("UTC"), NOW)
    times.parse("2024/04/13")
    with pytest.raises(AmbiguousTime, match="the month comes first") as raised:
        times.parse("2024/04/03")
    assert raised.value.cure == "name the form: --time-format '%Y/%m/%d'"


def test_two_orders_in_one_column() -> None:
    """They stop the input, as two units do; a date that is the same in both, or out of range, proves none."""
    times = Times(TimeOptions("UTC"), NOW)
    assert times.parse("04/04/2024") == 1_712_188_800 * NS
    with pytest.raises(BadTime):
        times.parse("12/31/1999")
    assert times.parse("13/04/2024") == 1_712_966_400 * NS
    with pytest.raises(BadTime):
        times.parse("12/31/1999")
    with pytest.raises(
        AmbiguousTime, match="'04/13/2024' has the month first, '13/04/2024' before it has the day"
    ):
        times.parse("04/13/2024")
    assert times.parse("14/04/2024") == 1_713_052_800 * NS


@given(st.dates(datetime(2009, 1, 2).date(), datetime(2024, 12, 31).date()), st.sampled_from("/.-"))
def test_a_date_is_read_if_it_has_one_reading(day: date, apart: str) -> None:
    """By the calendar alone, in either order."""
    for form in (f"%d{apart}%m{apart}%Y", f"%m{apart}%d{apart}%Y"):
        text = day.strftime(form)
        if day.day > 12 or day.day == day.month:
            assert parse(text, TimeOptions("UTC")) == parse(day.isoformat(), TimeOptions("UTC"))
        else:
            with pytest.raises(AmbiguousTime, match="several ways"):
                parse(text, TimeOptions("UTC"))


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        ("30/02/2024 10:00", "%d/%m/%Y %H:%M", "a day that does not exist"),
        ("01/02/2024 24:00", "%d/%m/%Y %H:%M", "24:00: midnight"),
        ("01/02/2024 10:00 +2500", "%d/%m/%Y %H:%M %z", "an offset that no zone has"),
    ],
)
def test_what_is_of_a_form_and_does_not_exist(text: str, form: str, said: str) -> None:
    with pytest.raises(BadTime, match=said):
        parse(text, TimeOptions("UTC", form))


# Zones


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2024-01-01T01:00:00", "Europe/Berlin", S * NS),
        ("2024-01-01", "UTC", S * NS),
        ("2024-01-01 01:00:00.123456789", "Europe/Berlin", S * NS + 123_456_789),
        ("2024-07-01T02:00:00", "Europe/Berlin", 1_719_792_000 * NS),
        ("2024-07-01T00:00:00", "America/New_York", 1_719_806_400 * NS),
        ("2024-01-01T05:45:00", "Asia/Kathmandu", S * NS),
        ("Mon, 01 Jan 2024 01:00:00", "Europe/Berlin", S * NS),
        ("2017-01-01T00:59:60", "Europe/Berlin", 1_483_228_799 * NS),
        ("2024-03-31T01:59:59.999999", "Europe/Berlin", 1_711_846_799_999_999_000),
        ("2024-03-31T03:00:00", "Europe/Berlin", 1_711_846_800 * NS),
        ("2024-10-27T01:59:59", "Europe/Berlin", 1_729_987_199 * NS),
        ("2024-10-27T03:00:00", "Europe/Berlin", 1_729_994_400 * NS),
    ],
)
def test_local_times(text: str, zone: str, moment: int) -> None:
    """Summer and winter, up to the change and from it on."""
    assert parse(text, TimeOptions(zone)) == moment


@pytest.mark.parametrize("ambiguous", ["", "earlier", "later"])
@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("2024-03-31T02:00:00", "Europe/Berlin"),
        ("2024-03-31T02:59:59.999999", "Europe/Berlin"),
        ("2024-03-10 02:30", "America/New_York"),
        ("2011-12-30T12:00:00", "Pacific/Apia"),
    ],
)
def test_local_times_that_do_not_exist(text: str, zone: str, ambiguous: str) -> None:
    """There is nothing to choose between."""
    with pytest.raises(BadTime, match=f"does not exist in {zone}"):
        parse(text, TimeOptions(zone, "", ambiguous))


@pytest.mark.parametrize(
    ("text", "zone", "earlier", "apart"),
    [
        ("2024-10-27T02:00:00", "Europe/Berlin", 1_729_987_200, 3600),
        ("2024-10-27T02:59:59", "Europe/Berlin", 1_729_990_799, 3600),
        ("2024-11-03T01:30:00", "America/New_York", 1_730_611_800, 3600),
        ("2024-04-07T01:45:00", "Australia/Lord_Howe", 1_712_414_700, 1800),
    ],
)
def test_local_times_that_happen_twice(text: str, zone: str, earlier: int, apart: int) -> None:
    """Rejected until a flag chooses one; half an hour on Lord Howe Island."""
    with pytest.raises(BadTime, match=f"twice in {zone}; choose with --ambiguous"):
        parse(text, TimeOptions(zone))
    assert parse(text, TimeOptions(zone, "", "earlier")) == earlier * NS
    assert parse(text, TimeOptions(zone, "", "later")) == (earlier + apart) * NS


# Forms


@pytest.mark.parametrize(
    ("text", "form", "zone", "moment"),
    [
        ("01/02/2024 00:00", "%m/%d/%Y %H:%M", "UTC", S + 86_400),
        ("02/01/2024 00:00", "%d/%m/%Y %H:%M", "UTC", S + 86_400),
        ("01/02/2024 12:00 AM", "%m/%d/%Y %I:%M %p", "UTC", S + 86_400),
        (" 01.01.2024 ", "%d.%m.%Y", "Europe/Berlin", S - 3600),
        ("20240101", "%Y%m%d", "UTC", S),
        ("01/Jan/2024:01:00:00 +0100", "%d/%b/%Y:%H:%M:%S %z", "", S),
        ("2024-01-01 00:00:00 UTC", "%Y-%m-%d %H:%M:%S UTC", "UTC", S),
    ],
)
def test_a_form(text: str, form: str, zone: str, moment: int) -> None:
    """It is taken at its word."""
    assert parse(text, TimeOptions(zone, form)) == moment * NS


@pytest.mark.parametrize(
    "text", ["2024-01-01T00:00:00Z", "1704067200", "13/13/2024", "0000-00-00", "1/1/2024 x"]
)
def test_what_is_not_of_the_form(text: str) -> None:
    """It is rejected, even if it could be understood: one column, one form."""
    with pytest.raises(BadTime, match="is not of the form '%d/%m/%Y'"):
        parse(text, TimeOptions("UTC", "%d/%m/%Y"))


@pytest.mark.parametrize(
    ("text", "said"), [("01/01/2008", "before 2009"), ("01/01/2090", "ahead"), ("", "no time")]
)
def test_a_form_does_not_lift_the_limits(text: str, said: str) -> None:
    """Times that Kissmetrics does not keep are not sent."""
    with pytest.raises(BadTime, match=said):
        parse(text, TimeOptions("UTC", "%d/%m/%Y"))


def test_a_form_without_an_offset_needs_a_zone() -> None:
    """As any other time."""
    with pytest.raises(AmbiguousTime, match="offset"):
        parse("01/02/2024", TimeOptions("", "%d/%m/%Y"))


# Units


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1704067200", "seconds"),
        ("1704067200000", "milliseconds"),
        ("1704067200000000", "microseconds"),
        ("1704067200000000000", "nanoseconds"),
        ("2024-01-01T00:00:00Z", ""),
    ],
)
def test_the_unit_of_a_column(text: str, unit: str) -> None:
    """It is recognised from the first number on, and stays."""
    times = Times(TimeOptions(), NOW)
    times.parse(text)
    times.parse("2024-01-01T00:00:00Z")
    times.parse(text)
    assert times.unit == unit


@pytest.mark.parametrize("first", [S, S * 10**3, S * 10**6, S * 10**9])
@pytest.mark.parametrize("second", [S, S * 10**3, S * 10**6, S * 10**9])
def test_units_that_are_mixed(first: int, second: int) -> None:
    """Two in one column stop the input: one of them must be wrong."""
    times = Times(TimeOptions(), NOW)
    times.parse(str(first))
    if first == second:
        assert times.parse(str(second)) == S * NS
        return
    with pytest.raises(AmbiguousTime, match=f"'{second}' is in .*seconds, those before it are in .*seconds"):
        times.parse(str(second))


@pytest.mark.parametrize("bad", ["0", "5", "20240101000000", "9" * 19, "-1704067200000"])
def test_a_bad_number_is_no_other_unit(bad: str) -> None:
    """One bad row among good ones is rejected and stops nothing, before them or behind."""
    times = Times(TimeOptions(), NOW)
    for _ in range(2):
        with pytest.raises(BadTime):
            times.parse(bad)
        assert times.parse("1704067200") == S * NS
    assert times.unit == "seconds"


def test_a_leap_second_is_that_of_the_last_time() -> None:
    """Not of one that was rejected before."""
    times = Times(TimeOptions(), NOW)
    with pytest.raises(BadTime):
        times.parse("1998-12-31T23:59:60Z")
    times.parse("1704067200")
    assert not times.leap_second


# Properties

OFFSETS = st.integers(-24 * 3600 + 1, 24 * 3600 - 1).map(lambda seconds: timezone(timedelta(seconds=seconds)))
MOMENTS = st.datetimes(datetime(2009, 1, 2), datetime(2024, 12, 31), timezones=OFFSETS)


def nanoseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


@given(MOMENTS, st.sampled_from("T _"))
def test_every_moment_parses_to_itself(moment: datetime, between: str) -> None:
    """With any offset, even one with seconds."""
    assert parse(moment.isoformat(between)) == nanoseconds(moment)


@given(MOMENTS, st.integers(0, 999), st.integers(0, 999))
def test_nine_digits_and_more(moment: datetime, more: int, beyond: int) -> None:
    """Nanoseconds are exact; finer fractions are floored."""
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}{more:03}{beyond:03}{moment.isoformat()[-6:]}"
    if moment.utcoffset() % timedelta(minutes=1):  # type: ignore[operator]
        return
    assert parse(text) == nanoseconds(moment) + more


@given(MOMENTS)
def test_mail_dates(moment: datetime) -> None:
    """As Python's own library writes them, to the second and the minute of the offset."""
    moment = moment.replace(microsecond=0)
    if not moment.utcoffset() % timedelta(minutes=1):  # type: ignore[operator]
        assert parse(format_datetime(moment)) == nanoseconds(moment)


@given(st.integers(1_230_768_000 * NS, NOW * NS), st.sampled_from([(9, 0), (6, 3), (3, 6), (0, 9)]))
def test_numbers_are_exact(moment: int, scale: tuple[int, int]) -> None:
    """In every unit, with as many digits behind the point as it takes."""
    places, _ = scale
    whole, rest = divmod(moment, 10**places)
    assert parse(f"{whole}.{rest:0{places}}" if places else str(whole)) == moment


@given(
    st.text(max_size=40) | st.text("0123456789-+:/.,TZ eE", max_size=30),
    st.sampled_from([TimeOptions(), BERLIN]),
)
@example("Mon, 01 Jan 99999999999 00:00:00 +0000", TimeOptions())
@example("2024-01-01T00:00:00 +0000 +0000", TimeOptions())
@example("12:34:60:60", TimeOptions())
def test_any_text_is_a_time_or_is_not(text: str, time_options: TimeOptions) -> None:
    """No other error is raised, and a time that is parsed is in range."""
    try:
        moment = parse(text, time_options)
    except (BadTime, AmbiguousTime):
        return
    assert 1_230_768_000 * NS <= moment <= (NOW + 86_400) * NS


@pytest.mark.parametrize("text", ["2024-01-01T00:24:00Z", "2024-01-01 00:24Z", "2024-01-01T00:24:00.5+02:00"])
def test_the_minute_24_after_midnight_is_no_hour_24(text: str) -> None:
    """Only the hour can be 24."""
    assert parse(text) > 0


LOS_ANGELES = TimeOptions("America/Los_Angeles", LOCAL_EPOCH)


@pytest.mark.parametrize(
    ("text", "time_options", "expected"),
    [
        ("1704067200", TimeOptions("UTC", LOCAL_EPOCH), S * NS),
        ("1704067200", LOS_ANGELES, (S + 8 * 3600) * NS),
        ("1704067200123", LOS_ANGELES, (S + 8 * 3600) * NS + 123_000_000),
        ("1719792000", LOS_ANGELES, (1_719_792_000 + 7 * 3600) * NS),
        ("2024-01-01T00:00:00Z", LOS_ANGELES, S * NS),
    ],
)
def test_numbers_may_count_on_the_clock_of_a_zone(
    text: str, time_options: TimeOptions, expected: int
) -> None:
    """Older Mixpanel projects export such numbers; in summer the zone has another offset."""
    times = Times(time_options, NOW)
    assert times.parse(text) == expected
    assert times.parse(text) == expected  # the unit is known by now


def test_a_number_on_the_clock_of_no_zone_is_not_guessed() -> None:
    with pytest.raises(AmbiguousTime, match="does not say which") as error:
        parse("1704067200", TimeOptions("", LOCAL_EPOCH))
    assert "--timezone UTC" in error.value.cure


def test_an_hour_that_occurs_twice_is_not_guessed_in_a_number_either() -> None:
    """On 3 November 2024 the clocks of Los Angeles showed 01:30 twice."""
    with pytest.raises(BadTime, match="occurs twice"):
        parse("1730597400", LOS_ANGELES)
    later = TimeOptions("America/Los_Angeles", LOCAL_EPOCH, "later")
    assert parse("1730597400", later) == (1_730_597_400 + 8 * 3600) * NS
