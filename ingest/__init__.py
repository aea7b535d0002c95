"""MQTT → journal → decoded, checked one by one → store; quarantine, receipts, accounting."""
