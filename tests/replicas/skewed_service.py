"""The real service on a machine whose clock is wrong: `skewed_service.py SECONDS`."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

from responder.service import app
from responder.settings.settings import load

if __name__ == "__main__":
    ahead = timedelta(seconds=float(sys.argv[1]))
    vars(app)["utc_now"] = lambda: datetime.now(UTC) + ahead
    asyncio.run(app.serve(load()))
