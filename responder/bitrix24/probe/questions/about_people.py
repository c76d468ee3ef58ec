"""Asks about people and rights: users, who we are, scopes; and about templates."""

from collections.abc import Mapping

from responder.bitrix24.client.answers import Command
from responder.bitrix24.fetch.people import user_of_id
from responder.bitrix24.fetch.templates import template_list
from responder.bitrix24.probe.question import (
    CannotAskError,
    Heard,
    Question,
    Verdict,
    differs,
    expected,
    whether,
)
from responder.bitrix24.probe.questions.value_kinds import number

NO_USER = "2000000001"
ROBOTS = 8  # AUTO_EXECUTE from which on a template is no person's

Row = Mapping[str, object]


def _user(heard: Heard) -> dict[str, Command]:
    rows = heard.some("users", "no user is shown")
    return {"user": user_of_id(str(rows[-1].get("ID"))), "no_user": user_of_id(NO_USER)}


def _finds_user(heard: Heard) -> Verdict:
    wanted = str(heard.sample["users"].rows[-1].get("ID"))
    found = [str(row.get("ID")) for row in heard["user"].rows]
    return whether(found == [wanted], "that user alone", "others too, or nobody")


def _nobody(heard: Heard) -> Verdict:
    reply = heard["no_user"]
    if reply.code is not None:
        return differs("a refusal", "refused")
    return whether(not reply.rows, "an empty list", f"{len(reply.rows)} users")


def _activity(heard: Heard) -> Verdict:
    rows = heard.some("users", "no user is shown")
    odd = sum(not isinstance(row.get("ACTIVE"), bool) for row in rows)
    return whether(not odd, "true or false", f"something else for {odd}")


def _departments(heard: Heard) -> Verdict:
    rows = heard.some("users", "no user is shown")
    told = sum("UF_DEPARTMENT" in row for row in rows)
    if not told:
        return differs("not at all", "untold")
    return expected("with departments")


def _user_pages(heard: Heard) -> Verdict:
    reply = heard["users"]
    count, total = len(heard.some("users", "no user is shown")), reply.answer.total
    if total is None:
        return differs("no total", "no_total")
    agrees = reply.answer.next == (count if count < total else None)
    return whether(agrees, "`total` and `next` agree", "they contradict the rows")


def _administrator(heard: Heard) -> Verdict:
    value = heard["profile"].value
    admin = value.get("ADMIN") if isinstance(value, dict) else None
    return whether(isinstance(admin, bool), "true or false", "something else")


def _scopes(heard: Heard) -> Verdict:
    value = heard["scope"].value
    if not isinstance(value, list):
        return differs("no list", "no_list")
    missing = sorted({"bizproc", "crm"} - {str(one) for one in value})
    return whether(not missing, "bizproc and crm among them", f"without {', '.join(missing)}")


def _templates(_heard: Heard) -> dict[str, Command]:
    asked = template_list("ID", "AUTO_EXECUTE")
    # robots' templates may all stand behind the first page
    of_robots = Command(asked.method, {**asked.params, "FILTER": {"AUTO_EXECUTE": ROBOTS}})
    return {"executed": asked, "robots": of_robots}


def _hides_robots(heard: Heard) -> Verdict:
    filtered = heard["robots"]
    rows = [*heard["executed"].rows, *(filtered.rows if filtered.answer.failure is None else ())]
    numbers = [one for row in rows if (one := number(row.get("AUTO_EXECUTE"))) is not None]
    if not numbers:
        raise CannotAskError("no template is listed")
    robots = sum(number >= ROBOTS for number in numbers)
    return whether(not robots, "none of them", f"{robots} of robots")


def _shows_runs(heard: Heard) -> Verdict:
    templates = heard["templates"]
    if templates.answer.next is not None:
        raise CannotAskError("there are more templates than one page has")
    listed = {str(row.get("ID")) for row in templates.rows}
    runs = {str(row.get("TEMPLATE_ID")) for row in heard.some("workflows", "no workflow runs")}
    if runs <= listed:
        raise CannotAskError("nothing runs from a template that is not listed")
    return expected("runs of robots, or of others that are not listed")


def _one_template(heard: Heard) -> dict[str, Command]:
    rows = heard.some("templates", "no template is listed")
    asked = template_list("ID", "NAME")
    wanted = {"FILTER": {"ID": rows[0].get("ID")}}
    return {"template": Command(asked.method, {**asked.params, **wanted})}


def _finds_template(heard: Heard) -> Verdict:
    wanted = str(heard.sample["templates"].rows[0].get("ID"))
    found = [str(row.get("ID")) for row in heard["template"].rows]
    return whether(found == [wanted], "that template alone", "others too, or none")


QUESTIONS = (
    Question(
        id="user-filter-finds-the-user",
        section="6.4",
        asks="Does user.get, asked for an id, have that user alone?",
        expected="that user alone",
        leads_to="Rows are compared again: a user who is not found is unknown.",
        sample=("users",),
        commands=_user,
        judge=_finds_user,
        like={"differs": ("drops_user_ids", True)},
    ),
    Question(
        id="unknown-user-is-empty",
        section="6.4",
        asks="Is a user who does not exist, or is hidden, answered with an empty list?",
        expected="an empty list",
        leads_to="Nothing: such a user is unknown in either case.",
        sample=("users",),
        commands=_user,
        judge=_nobody,
        like={"refused": ("refuses_absent_users", True)},
    ),
    Question(
        id="active-is-boolean",
        section="6.4",
        asks="Is ACTIVE of a user a JSON boolean?",
        expected="true or false",
        leads_to="Rules about dismissed people read Y and N too; anything else is unknown.",
        sample=("users",),
        judge=_activity,
        like={"differs": ("active_as_text", True)},
    ),
    Question(
        id="departments-are-told",
        section="6.4",
        asks="Do users come with their departments?",
        expected="with departments",
        leads_to="Rules about departments are unknown, and do not act.",
        sample=("users",),
        judge=_departments,
        like={"untold": ("no_departments", True)},
    ),
    Question(
        id="user-pages-agree",
        section="6.4",
        asks="Do `total` and `next` of user.get say whether more users follow?",
        expected="`total` always, `next` while more rows follow",
        leads_to="Nothing: users are asked for one by one.",
        sample=("users",),
        judge=_user_pages,
        like={"no_total": ("no_user_totals", True)},
    ),
    Question(
        id="admin-is-boolean",
        section="6.4",
        asks="Does profile say with a boolean whether we are an administrator?",
        expected="true or false",
        leads_to="`doctor` would call the webhook's user no administrator.",
        sample=("profile",),
        judge=_administrator,
        like={"differs": ("admin_as_text", True)},
    ),
    Question(
        id="scopes-are-a-list",
        section="6.4",
        asks="Does scope list what the webhook may use, bizproc and crm among it?",
        expected="bizproc and crm among them",
        leads_to="Without them no workflow or no item can be read.",
        sample=("scope",),
        judge=_scopes,
        like={"no_list": ("scopes_as_map", True)},
    ),
    Question(
        id="robots-templates-are-hidden",
        section="6.4",
        asks="Does the list of templates leave out those of robots (AUTO_EXECUTE from 8 on)?",
        expected="none of them",
        leads_to="Rules that spare robots' runs would stop them.",
        commands=_templates,
        judge=_hides_robots,
        crucial=True,
        like={"differs": ("lists_robots", True)},
    ),
    Question(
        id="robots-runs-are-listed",
        section="6.3",
        asks="Are runs of robots among the running workflows?",
        expected="runs whose template is not listed",
        leads_to="Nothing: there is nothing to see here where none runs.",
        sample=("workflows", "templates"),
        judge=_shows_runs,
    ),
    Question(
        id="template-filter-finds-it",
        section="6.4",
        asks="Does the list of templates, asked for an id, have that template alone?",
        expected="that template alone",
        leads_to="Nothing: the whole list is read.",
        sample=("templates",),
        commands=_one_template,
        judge=_finds_template,
        like={"differs": ("blind_template_filters", True)},
    ),
)
