"""What is computed when: touched days, hourly and nightly runs, schedule, jobs."""
