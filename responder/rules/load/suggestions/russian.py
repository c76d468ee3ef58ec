"""Lists the Russian words that people write for the words of the language.

Most portals are Russian, and so are the people who write their rules. A word may stand for several,
of which only one is right in its place.
"""

# ruff: noqa: RUF001  # Russian words and dashes are what is looked for
from collections.abc import Collection, Mapping


def _words(**rows: str) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for right, words in rows.items():
        for word in words.split():
            found[word] = (*found.get(word, ()), right.rstrip("_"))
    return found


_WORDS = _words(
    # the keys
    version="версия",
    defaults="умолчания по_умолчанию",
    lists="списки список",
    calendars="календари календарь",
    rules="правила правило",
    tests="тесты тест проверки примеры",
    id="имя название ид код",
    because="причина потому потому_что описание комментарий",
    mode="режим",
    when="когда событие события триггер",
    if_="если условие условия",
    unless="кроме исключая исключение исключения если_не",
    then="тогда то действие",
    wait="ждать подождать ожидание пауза",
    during="часы рабочее_время",
    keep="оставить сохранить",
    per="на_каждый для_каждого",
    limit="лимит предел ограничение",
    portals="порталы портал",
    expires="до истекает срок",
    timezone="часовой_пояс",
    days="дни",
    from_="от начало",
    to="до по",
    holidays="праздники праздник выходные",
    every="каждые каждый каждую",
    daily_at="ежедневно ежедневно_в",
    # of tests
    name="имя название",
    event="событие",
    at="время когда дата",
    facts="факты данные",
    unknown="неизвестно",
    workflows="процессы процесс бизнес_процессы",
    expect="ожидается ожидание результат",
    # values
    kill="убить удалить удаление",
    terminate="остановить завершить прервать стоп",
    leave="оставить пропустить защитить игнорировать не_трогать",
    none="ничего",
    observe="наблюдать наблюдение тест тестовый",
    enforce="боевой включить включено применять",
    approve="согласовать согласование подтвердить",
    newest="новый новые последний последние новейший",
    oldest="старый старые первый первые",
    document="документ сделка",
    template="шаблон",
    mon="пн понедельник",
    tue="вт вторник",
    wed="ср среда",
    thu="чт четверг",
    fri="пт пятница",
    sat="сб суббота",
    sun="вс воскресенье",
    # tests of facts, and groups of them
    is_="равно равен",
    is_not="не_равно не",
    one_of="один_из в",
    over="больше более выше свыше старше",
    at_least="не_меньше не_менее минимум",
    below="меньше менее ниже",
    at_most="не_больше не_более максимум",
    between="между",
    contains="содержит",
    starts_with="начинается",
    ends_with="заканчивается",
    older_than="раньше до старше",
    newer_than="позже после новее",
    exists="заполнено есть существует",
    any="или любое",
    all="и все",
    not_="не",
    # what facts speak of, and some of them
    deal="сделка сделки",
    lead="лид лиды",
    contact="контакт контакты",
    company="компания компании",
    quote="предложение предложения",
    invoice="счет счёт счета",
    task="задача задачи",
    workflow="процесс бизнес_процесс бп",
    title="название имя",
    opportunity="сумма бюджет цена стоимость",
    currency_id="валюта",
    stage_id="стадия статус этап",
    category_id="воронка направление",
    assigned_by_id="ответственный менеджер",
    company_id="компания",
    contact_id="контакт",
    closed="закрыта закрыто",
    status="статус",
    responsible_id="ответственный",
    deadline="крайний_срок срок",
    template_id="шаблон",
    started="начат запущен начало",
    started_by="запустил автор",
    age="возраст",
    added="добавлена добавлен создана создан",
    updated="изменена изменен обновлена обновлен изменение",
    deleted="удалена удален",
)


def english(word: str, names: Collection[str]) -> str | None:
    """Return the one of these names that a Russian word stands for."""
    plain = word.strip().lower().replace("-", "_").replace(" ", "_")
    return next((one for one in _WORDS.get(plain, ()) if not names or one in names), None)


def english_path(path: str, names: Collection[str]) -> str:
    """Return a path, `сделка.сумма`, with the Russian words among its parts in English."""
    return ".".join(english(part, names) or part for part in path.split("."))
