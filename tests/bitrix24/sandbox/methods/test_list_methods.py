"""Lists and processes of the news feed (BITRIX24-APP §6)."""

from datetime import date, datetime

import pytest

from responder.bitrix24.sandbox import Sandbox
from tests.bitrix24.sandbox.caller import Caller, mapping

GET = "lists.element.get"
FEED = {"IBLOCK_TYPE_ID": "bitrix_processes", "IBLOCK_ID": 164}


@pytest.fixture(autouse=True)
def processes(sandbox: Sandbox) -> None:
    sandbox.scopes = ("lists",)
    lists = sandbox.lists
    lists.add(164, "Business trips", "bitrix_processes")
    lists.add_field(164, "PROPERTY_1151", "Until", "S:DateTime")
    lists.add_field(164, "PROPERTY_1152", "Kind", "L", choices={"81": "Inland", "82": "Abroad"})
    lists.add_field(164, "PROPERTY_1153", "People", "S:employee", multiple=True)
    lists.add_field(164, "DATE_CREATE", "Created", "DATE_CREATE")
    lists.add_element(
        164,
        777,
        "A trip",
        PROPERTY_1151=datetime(2024, 12, 31, 23, 59, 59),  # noqa: DTZ001 - the portal says no zone
        PROPERTY_1152=81,
        PROPERTY_1153=[7, 9],
        DATE_CREATE=date(2024, 12, 1),
    )


def test_the_type_of_a_list_or_null(sandbox: Sandbox, caller: Caller) -> None:
    """§6: `lists`, `bitrix_processes`, `lists_socnet`, or null where unknown or without right."""
    sandbox.lists.add(3, "Goods")
    method = "lists.get.iblock.type.id"
    assert caller.result(method, {"IBLOCK_ID": 164}) == "bitrix_processes"
    assert caller.result(method, {"IBLOCK_ID": "3"}) == "lists"
    assert caller.result(method, {"IBLOCK_ID": 4}) is None
    sandbox.lists.blocks[3].readable = False
    assert caller.result(method, {"IBLOCK_ID": 3}) is None


def test_fields_are_a_map_by_name_and_one_alone_by_its_type(caller: Caller) -> None:
    """§6, lists.field.get: by FIELD_ID; with `FIELD_ID` keyed by TYPE; choices."""
    fields = mapping(caller.result("lists.field.get", FEED))
    assert list(fields) == [
        "NAME",
        "PROPERTY_1151",
        "PROPERTY_1152",
        "PROPERTY_1153",
        "DATE_CREATE",
    ]
    kind = mapping(caller.result("lists.field.get", {**FEED, "FIELD_ID": "PROPERTY_1152"}))
    assert list(kind) == ["L"]
    assert mapping(kind["L"])["DISPLAY_VALUES_FORM"] == {"81": "Inland", "82": "Abroad"}
    assert caller.result("lists.field.get", {**FEED, "FIELD_ID": "PROPERTY_1"}) == []


def test_a_property_is_a_map_from_the_values_own_id(caller: Caller) -> None:
    """§6, element: maps even when single, enumeration and users as ids, dates in portal format."""
    [element] = caller.rows(GET, {**FEED, "ELEMENT_ID": 777})
    assert element["ID"] == "777"
    assert element["PROPERTY_1151"] == {"3747": "12/31/2024 11:59:59 pm"}
    assert element["PROPERTY_1152"] == {"3748": "81"}
    assert element["PROPERTY_1153"] == {"3749": "7", "3750": "9"}
    assert element["DATE_CREATE"] == "12/01/2024"


def test_dates_are_written_as_the_portals_language_does(sandbox: Sandbox, caller: Caller) -> None:
    """§6, element: dates in portal format, not ISO."""
    sandbox.lists.date_format = "%d.%m.%Y"
    sandbox.lists.add_element(164, 778, "Another", PROPERTY_1151=date(2024, 12, 31))
    [element] = caller.rows(GET, {**FEED, "ELEMENT_ID": 778})
    assert list(mapping(element["PROPERTY_1151"]).values()) == ["31.12.2024"]


def test_what_is_empty_has_no_key(sandbox: Sandbox, caller: Caller) -> None:
    """§6, element: empty = key absent."""
    sandbox.lists.add_element(164, 778, "Another", PROPERTY_1151=None, PROPERTY_1153=[])
    [element] = caller.rows(GET, {**FEED, "ELEMENT_ID": 778})
    assert not any(name.startswith("PROPERTY_") for name in element)


@pytest.mark.parametrize(
    ("select", "names"),
    [
        (["ID", "PROPERTY_1152"], ["ID", "PROPERTY_1152"]),
        (["PROPERTY_1152"], ["ID", "PROPERTY_1152"]),
        (["NO_SUCH"], ["ID"]),
        (["NAME"], ["NAME"]),
    ],
)
def test_fields_are_selected(caller: Caller, select: list[str], names: list[str]) -> None:
    """§6, lists.element.get: SELECT; unknown names are no error."""
    [element] = caller.rows(GET, {**FEED, "SELECT": select})
    assert list(element) == names


def test_elements_are_filtered_and_paged(sandbox: Sandbox, caller: Caller) -> None:
    """§6, lists.element.get: several by `=ID`, 50 on a page, `total`; nothing found has none."""
    for number in range(1, 61):
        sandbox.lists.add_element(164, number, f"Trip {number}", PROPERTY_1152=82)
    assert caller.ids(GET, {**FEED, "FILTER": {"=ID": [1, 777]}}) == ["1", "777"]
    assert caller.ids(GET, {**FEED, "FILTER": {"PROPERTY_1152": 81}}) == ["777"]
    answer = caller.call(GET, {**FEED, "start": 50, "ELEMENT_ORDER": {"ID": "asc"}})
    assert (answer["total"], "next" in answer) == (61, False)
    nothing = caller.call(GET, {**FEED, "FILTER": {"=ID": 9999}})
    assert nothing["result"] == []
    assert "total" not in nothing


@pytest.mark.parametrize("key", ["@ID", "NO_SUCH", "=PROPERTY_1"])
def test_a_wrong_filter_is_refused_here(caller: Caller, key: str) -> None:
    """§6: prefix `@` refused [src], although the docs list it."""
    assert caller.refusal(GET, {**FEED, "FILTER": {key: [777]}})[:2] == (400, "ERROR_ARGUMENT")


def test_unpublished_elements_show_only_to_who_may_edit(sandbox: Sandbox, caller: Caller) -> None:
    """§6: unpublished elements show only to who may edit the list."""
    sandbox.lists.add_element(164, 778, "A draft", published=False)
    assert caller.ids(GET, FEED) == ["777", "778"]
    sandbox.lists.blocks[164].editable = False
    assert caller.ids(GET, FEED) == ["777"]
    assert caller.result(GET, {**FEED, "ELEMENT_ID": 778}) == []


def test_lists_are_refused_in_four_ways(sandbox: Sandbox, caller: Caller) -> None:
    """§6: ACCESS_DENIED, ERROR_IBLOCK_NOT_FOUND, ERROR_REQUIRED_PARAMETERS_MISSING, the plan."""
    missing = (400, "ERROR_REQUIRED_PARAMETERS_MISSING")
    assert caller.refusal(GET, {"IBLOCK_ID": 164})[:2] == missing
    for wrong in ({"IBLOCK_ID": 165}, {"IBLOCK_TYPE_ID": "lists"}):
        assert caller.refusal(GET, {**FEED, **wrong})[:2] == (400, "ERROR_IBLOCK_NOT_FOUND")
    sandbox.lists.blocks[164].readable = False
    assert caller.refusal(GET, FEED)[:2] == (400, "ACCESS_DENIED")
    sandbox.lists.on_plan = False
    denied = (403, "ACCESS_DENIED", "Available only on extended plans")
    assert caller.refusal("lists.field.get", FEED) == denied


def test_a_list_of_a_group_is_asked_for_with_the_group(sandbox: Sandbox, caller: Caller) -> None:
    """§6, lists.element.get: group lists `SOCNET_GROUP_ID`."""
    sandbox.lists.add(5, "Of a group", "lists_socnet", group_id=12)
    sandbox.lists.add_element(5, 1, "One")
    group = {"IBLOCK_TYPE_ID": "lists_socnet", "IBLOCK_ID": 5}
    assert caller.refusal(GET, group)[:2] == (400, "ACCESS_DENIED")
    assert caller.ids(GET, {**group, "SOCNET_GROUP_ID": 12}) == ["1"]
