"""Bitrix24: its REST calls, its lists, facts and events, and all the quirks of a portal."""
