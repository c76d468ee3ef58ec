"""responder stops Bitrix24 workflows that break a company's rules."""
