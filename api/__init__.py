"""HTTP and the dashboard: speaks to the outside, decides nothing."""
