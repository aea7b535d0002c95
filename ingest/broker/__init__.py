"""The broker side: one connection that receives, one that sends receipts, and what watches them."""
