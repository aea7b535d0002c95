"""MQTT → journal → decoded, checked message by message → store; quarantine, receipts, accounting."""
