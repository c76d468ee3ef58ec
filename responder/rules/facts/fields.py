"""Lists the standard fields of each kind of document, with their types and what they mean.

CRM fields are those that crm.item.get returns, in snake case, as
https://apidocs.bitrix24.com/api-reference/crm/universal/object-fields.html lists them; left out
are the ones it calls legacy or deprecated. Task fields are those of
https://apidocs.bitrix24.com/api-reference/tasks/fields.html.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Type(StrEnum):
    """The type of a fact's value, which decides the tests that fit it and when it is empty.

    A reference is the number of something else (a user, a company), and 0 there means none. An `id`
    is text even where it looks like a number. A date is a moment, a day has no time. `any` is a
    field whose type only the portal knows.
    """

    TEXT = "text"
    NUMBER = "number"
    TRUTH = "yes/no"
    DATE = "date"
    DAY = "day"
    REFERENCE = "reference"
    DURATION = "duration"
    ID = "id"
    ANY = "any"


class Field(NamedTuple):
    """One field: its name, its type, and one sentence for the people who write rules."""

    name: str
    type: Type
    description: str


_TEXT, _NUMBER, _TRUTH, _DATE, _DAY = Type.TEXT, Type.NUMBER, Type.TRUTH, Type.DATE, Type.DAY
_REF = Type.REFERENCE

EVERY_ITEM = (
    Field("id", _NUMBER, "The item's own number."),
    Field("title", _TEXT, "Its name."),
    Field("assigned_by_id", _REF, "The user responsible for it."),
    Field("created_by", _REF, "The user who created it."),
    Field("created_time", _DATE, "When it was created."),
    Field("updated_by", _REF, "The user who changed it last."),
    Field("updated_time", _DATE, "When it was changed last."),
    Field("last_activity_by", _REF, "The user of the last activity in its timeline."),
    Field("last_activity_time", _DATE, "When the last activity in its timeline was."),
    Field("last_communication_time", _DATE, "When there was a call, a mail or a message last."),
    Field("last_communication_call_time", _DATE, "When the last call was."),
    Field("last_communication_email_time", _DATE, "When the last mail was."),
    Field("last_communication_imol_time", _DATE, "When the last open-channel message was."),
    Field("last_communication_webform_time", _DATE, "When a CRM form was last sent in."),
    Field("opened", _TRUTH, "Whether every employee may see it."),
    Field("webform_id", _REF, "The CRM form that created it."),
    Field("utm_source", _TEXT, "The advertising system it came from."),
    Field("utm_medium", _TEXT, "The kind of advertisement: CPC, CPM."),
    Field("utm_campaign", _TEXT, "The advertising campaign."),
    Field("utm_content", _TEXT, "The content of the campaign."),
    Field("utm_term", _TEXT, "The search term of the campaign."),
    Field("observers", _REF, "The users who observe it (several values)."),
)

_COMMENTS = Field("comments", _TEXT, "The comment.")
_SOURCE = (
    Field("source_id", _TEXT, "The source it came from, such as WEB or CALL."),
    Field("source_description", _TEXT, "More about the source."),
)
_ORIGIN = (
    Field("originator_id", _TEXT, "The outside system it was taken over from."),
    Field("origin_id", _TEXT, "Its id in that outside system."),
)
_CLIENT = (
    Field("company_id", _REF, "The company it is linked to."),
    Field("contact_id", _REF, "The first contact it is linked to."),
    Field("contact_ids", _REF, "All contacts it is linked to (several values)."),
)
_MONEY = (
    Field("opportunity", _NUMBER, "The amount, in the currency of `currency_id`."),
    Field("currency_id", _TEXT, "The currency of the amount, such as RUB or EUR."),
    Field("is_manual_opportunity", _TRUTH, "Whether the amount was entered by hand."),
)
_TAX = Field("tax_value", _NUMBER, "The tax in the amount.")
_STAGE = (
    Field("stage_id", _TEXT, "The stage, such as NEW or C2:WON."),
    Field("stage_semantic_id", _TEXT, "What the stage means: P under way, S won, F lost."),
)
_MOVED = (
    Field("moved_by", _REF, "The user who changed the stage last."),
    Field("moved_time", _DATE, "When the stage was changed last."),
)
_PREVIOUS = Field("previous_stage_id", _TEXT, "The stage it was in before.")
_PIPELINE = Field("category_id", _NUMBER, "The pipeline (funnel); 0 is the general one.")
_DATES = (
    Field("begindate", _DAY, "The day it begins."),
    Field("closedate", _DAY, "The day it is to be closed."),
)
_MY_COMPANY = Field("mycompany_id", _REF, "Which of our own companies it belongs to.")
_LOCATION = Field("location_id", _TEXT, "The place, as the portal numbers places.")
_RECURRING = Field("is_recurring", _TRUTH, "Whether it is a pattern from which others are made.")
_FROM_LEAD = Field("lead_id", _REF, "The lead it was made from.")
_RETURNING = Field("is_return_customer", _TRUTH, "Whether the customer came back.")
_PRODUCTS = Field("has_products", _TRUTH, "Whether it has products.")
_PERSON = (
    Field("name", _TEXT, "The first name."),
    Field("second_name", _TEXT, "The middle name."),
    Field("last_name", _TEXT, "The last name."),
    Field("honorific", _TEXT, "The form of address."),
    Field("post", _TEXT, "The position in the company."),
    Field("birthdate", _DAY, "The date of birth."),
)
_REACHED = (
    Field("phone", _TEXT, "The first telephone number."),
    Field("phone_work", _TEXT, "The telephone number at work."),
    Field("phone_mobile", _TEXT, "The mobile telephone number."),
    Field("email", _TEXT, "The first mail address."),
    Field("email_work", _TEXT, "The mail address at work."),
    Field("email_home", _TEXT, "The private mail address."),
    Field("has_phone", _TRUTH, "Whether there is a telephone number."),
    Field("has_email", _TRUTH, "Whether there is a mail address."),
    Field("has_imol", _TRUTH, "Whether there is an open channel."),
)

BY_KIND: Mapping[str, tuple[Field, ...]] = {
    "deal": (
        *_STAGE,
        _PIPELINE,
        *_MONEY,
        *_CLIENT,
        Field("closed", _TRUTH, "Whether it is closed."),
        Field("is_won", _TRUTH, "Whether it is won."),
        Field("is_lose", _TRUTH, "Whether it is lost."),
        Field("is_work", _TRUTH, "Whether it is under way."),
        Field("is_new", _TRUTH, "Whether it is new."),
        Field("type_id", _TEXT, "The type of deal, such as SALE."),
        Field("probability", _NUMBER, "The probability in percent."),
        Field("received_amount", _NUMBER, "The amount received."),
        Field("lost_amount", _NUMBER, "The amount lost."),
        Field("order_stage", _TEXT, "How far it is paid."),
        Field("additional_info", _TEXT, "More about it."),
        Field("quote_id", _REF, "The quote it is linked to."),
        Field("is_repeated_approach", _TRUTH, "Whether the customer asked again."),
        *(_TAX, _PRODUCTS, _RETURNING, _FROM_LEAD, _RECURRING, _LOCATION, _MY_COMPANY),
        *(*_DATES, *_MOVED, _PREVIOUS, *_SOURCE, *_ORIGIN, _COMMENTS),
    ),
    "lead": (
        *_STAGE,
        *_MONEY,
        *_CLIENT,
        *_PERSON,
        *_REACHED,
        Field("company_title", _TEXT, "The name of the company, as written in the lead."),
        Field("status_description", _TEXT, "More about the stage."),
        Field("date_closed", _DATE, "When it was closed."),
        *(_RETURNING, *_MOVED, *_SOURCE, *_ORIGIN, _COMMENTS),
    ),
    "contact": (
        *_PERSON,
        *_REACHED,
        Field("company_id", _REF, "The first company of the contact."),
        Field("company_ids", _REF, "All companies of the contact (several values)."),
        Field("type_id", _TEXT, "The type of contact, such as CLIENT."),
        Field("export", _TRUTH, "Whether it may be exported."),
        Field("origin_version", _TEXT, "The version in the outside system."),
        *(_PIPELINE, _FROM_LEAD, *_SOURCE, *_ORIGIN, _COMMENTS),
    ),
    "company": (
        *_REACHED,
        Field("contact_ids", _REF, "The contacts of the company (several values)."),
        Field("type_id", _TEXT, "The type of company, such as CUSTOMER."),
        Field("industry", _TEXT, "The industry."),
        Field("employees", _TEXT, "How many people work there, as the portal groups it."),
        Field("revenue", _NUMBER, "The turnover of a year."),
        Field("currency_id", _TEXT, "The currency of the turnover."),
        Field("is_my_company", _TRUTH, "Whether it is one of our own companies."),
        Field("origin_version", _TEXT, "The version in the outside system."),
        *(_PIPELINE, _FROM_LEAD, *_ORIGIN, _COMMENTS),
    ),
    "quote": (
        *_STAGE,
        *_MONEY,
        *_CLIENT,
        Field("closed", _TRUTH, "Whether it is closed."),
        Field("actual_date", _DAY, "The day until which it is valid."),
        Field("quote_number", _TEXT, "The number printed on it."),
        Field("deal_id", _REF, "The deal it is linked to."),
        Field("person_type_id", _NUMBER, "The kind of payer."),
        Field("content", _TEXT, "What is offered."),
        Field("terms", _TEXT, "The terms."),
        Field("client_title", _TEXT, "The client's name."),
        Field("client_contact", _TEXT, "The client's contact."),
        Field("client_email", _TEXT, "The client's mail address."),
        Field("client_phone", _TEXT, "The client's telephone number."),
        Field("client_addr", _TEXT, "The client's address."),
        *(_TAX, _PRODUCTS, _FROM_LEAD, _LOCATION, _MY_COMPANY, *_DATES, _COMMENTS),
    ),
    "invoice": (
        *_STAGE,
        _PIPELINE,
        *_MONEY,
        *_CLIENT,
        Field("account_number", _TEXT, "The number printed on it."),
        Field("xml_id", _TEXT, "Its id in an outside system."),
        *(_TAX, _RECURRING, _LOCATION, _MY_COMPANY),
        *(*_DATES, *_MOVED, _PREVIOUS, *_SOURCE, _COMMENTS),
    ),
}

SMART_ITEM = (
    *_STAGE,
    _PIPELINE,
    *_MONEY,
    *_CLIENT,
    Field("xml_id", _TEXT, "Its id in an outside system."),
    *(_TAX, _RECURRING, _MY_COMPANY, *_DATES, *_MOVED, _PREVIOUS, *_SOURCE),
)

TASK = (
    Field("id", _NUMBER, "The task's own number."),
    Field("title", _TEXT, "Its name."),
    Field("description", _TEXT, "Its description."),
    Field("status", _NUMBER, "2 waiting, 3 under way, 4 to be checked, 5 done, 6 put off."),
    Field("status_changed_by", _REF, "The user who changed the status last."),
    Field("status_changed_date", _DATE, "When the status was changed last."),
    Field("priority", _NUMBER, "0 low, 1 medium, 2 high."),
    Field("mark", _TEXT, "The rating: P good, N bad."),
    Field("created_by", _REF, "The user who created it."),
    Field("created_date", _DATE, "When it was created."),
    Field("responsible_id", _REF, "The user responsible for it."),
    Field("accomplices", _REF, "The users who take part (several values)."),
    Field("auditors", _REF, "The users who observe it (several values)."),
    Field("changed_by", _REF, "The user who changed it last."),
    Field("changed_date", _DATE, "When it was changed last."),
    Field("closed_by", _REF, "The user who completed it."),
    Field("closed_date", _DATE, "When it was completed."),
    Field("activity_date", _DATE, "When the last activity was."),
    Field("date_start", _DATE, "When work on it began."),
    Field("deadline", _DATE, "When it is due."),
    Field("start_date_plan", _DATE, "When it is planned to begin."),
    Field("end_date_plan", _DATE, "When it is planned to end."),
    Field("group_id", _REF, "The group or project it belongs to."),
    Field("flow_id", _REF, "The flow it belongs to."),
    Field("parent_id", _REF, "The task it is a part of."),
    Field("stage_id", _REF, "Its column on the board; 0 is none."),
    Field("forked_by_template_id", _REF, "The task template it was made from."),
    Field("multitask", _TRUTH, "Whether it has parts."),
    Field("replicate", _TRUTH, "Whether it repeats."),
    Field("task_control", _TRUTH, "Whether its result is checked."),
    Field("add_in_report", _TRUTH, "Whether it counts in reports."),
    Field("allow_change_deadline", _TRUTH, "Whether the deadline may be changed."),
    Field("allow_time_tracking", _TRUTH, "Whether time is tracked."),
    Field("time_estimate", _NUMBER, "The time it should take, in seconds."),
    Field("time_spent_in_logs", _NUMBER, "The time spent, in seconds."),
    Field("comments_count", _NUMBER, "How many comments it has."),
    Field("xml_id", _TEXT, "Its id in an outside system."),
)

LIST_ELEMENT = (
    Field("id", _NUMBER, "The element's own number."),
    Field("name", _TEXT, "Its name."),
    Field("created_by", _REF, "The user who created it."),
    Field("date_create", _DATE, "When it was created."),
    Field("timestamp_x", _DATE, "When it was changed last."),
    Field("bp_published", _TRUTH, "Whether it is published."),
    Field("code", _TEXT, "Its symbolic code."),
    Field("iblock_section_id", _REF, "The section that it is in."),
)

USER = (
    Field("id", _REF, "The user's number; empty where there is none."),
    Field("active", _TRUTH, "Whether the user still works here."),
    Field("department", _REF, "The user's departments (several values)."),
)

ALWAYS: Mapping[str, tuple[Field, ...]] = {
    "event": (
        Field("name", _TEXT, "The portal's names of the events judged together (several values)."),
    ),
    "document": (
        Field("kind", _TEXT, "The kind of document: deal, task, item_147."),
        Field("id", Type.ID, "The document's number within its kind."),
        Field("exists", _TRUTH, "No only after the portal said that it is not there."),
        Field("running", _NUMBER, "How many workflows run on it, robots' runs included."),
    ),
    "workflow": (
        Field("id", Type.ID, "The workflow's own id, always a text."),
        Field("template_id", _REF, "The template it was started from."),
        Field("started", _DATE, "When it was started."),
        Field("started_by", _REF, "The user who started it; empty when nobody did."),
        Field("modified", _DATE, "When it last did something."),
        Field("owned_until", _DATE, "Until when a run of it holds it; empty when it waits."),
        Field("age", Type.DURATION, "How long ago it was started."),
        Field("idle", Type.DURATION, "How long ago it last did something."),
        Field(
            "stuck", _TRUTH, "Whether a run of it was over more than five minutes ago unfinished."
        ),
        Field("tasks", _NUMBER, "How many tasks of it wait for someone."),
    ),
    "waiting_for": (
        Field("id", _REF, "The users whose tasks it waits for (several values)."),
        Field("active", _TRUTH, "Whether they still work here (several values)."),
        Field("department", _REF, "Their departments (several values)."),
    ),
    "starter": (
        Field("id", _REF, "The user who started it; empty when nobody did."),
        Field("active", _TRUTH, "Whether that user still works here."),
        Field("department", _REF, "That user's departments (several values)."),
    ),
    "template": (
        Field("id", _REF, "The template's number; the same as `workflow.template_id`."),
        Field("name", _TEXT, "The template's name."),
        Field("known", _TRUTH, "No for runs of robots, whose templates the portal does not list."),
    ),
}
