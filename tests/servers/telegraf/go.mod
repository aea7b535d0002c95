// Which Telegraf the benchmarks stand beside, and its sum.
module jieshui.example/tests/telegraf

go 1.23.0

require github.com/influxdata/telegraf v1.36.4
