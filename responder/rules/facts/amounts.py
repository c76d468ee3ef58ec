"""Compares amounts in user fields, which hold them with their currency: `150|RUB`.

The tests of order take a `currency` beside them: `{over: 100, currency: RUB}`. An amount in another
currency is unknown, for nobody says at what rate it would be compared.
"""

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal

from responder.model import Unknown
from responder.rules.facts import literals, values
from responder.rules.facts.literals import FileContext
from responder.rules.facts.moments import Holds
from responder.rules.facts.operators import OPERATORS, Prepared
from responder.rules.facts.registry import Fact
from responder.rules.yaml_positions import Items, Node

_ORDERS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "over": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}
BETWEEN = "between"
AMOUNTS = (*_ORDERS, BETWEEN)


def prepare(name: str, node: Node, fact: Fact, currency: str) -> Prepared:
    """Prepare one of `AMOUNTS` for a user field that holds amounts."""
    # The operator itself refuses an operand that it does not take.
    plain = OPERATORS[name].prepare(node, fact, FileContext(lists={}))
    read, holds = values.amounts_in(currency), _holds(name, node, fact)

    def check(value: object, _now: datetime) -> Holds:
        found = read(value)
        return found if isinstance(found, Unknown) else holds(found)

    words = f"{plain.words} {currency}"
    return Prepared(words, check, compared=plain.compared, unit=currency)


def _holds(name: str, node: Node, fact: Fact) -> Callable[[Decimal], bool]:
    if name == BETWEEN:
        assert isinstance(node, Items)
        low, high = (literals.measure(end, fact).value for end in node.items)
        return lambda amount: bool(low <= amount <= high)
    order, bound = _ORDERS[name], literals.measure(node, fact).value
    return lambda amount: order(amount, bound)
