"""The dashboards, as the short declarations that ``make dashboards`` writes the JSON from."""
