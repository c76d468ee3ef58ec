"""Has the two pages that an administrator's browser shows while an application is installed.

An application with an interface is installed only once its page says so to the portal: until then
no event is sent. The portal's own script, loaded from Bitrix24, has the function for that
(docs: settings/app-installation/installation-finish.md).
"""

_PAGE = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>responder</title>{script}</head>
<body style="font-family: sans-serif; margin: 3em">
<p>{text}</p>
<p><code>responder app</code> shows how it stands, and what to do next.</p>
</body>
</html>
"""
_SCRIPT = """\
<script src="https://api.bitrix24.com/api/v1/"></script>
<script>BX24.init(function () { BX24.installFinish(); });</script>\
"""

FINISH = _PAGE.format(
    script=_SCRIPT, text="The message of the portal was received, and is verified now."
).encode()
CONTINUE = _PAGE.format(
    script="", text="The authorization was received. You may close this page."
).encode()
