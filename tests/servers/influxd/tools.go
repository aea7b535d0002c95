//go:build tools

// Package influxd names the programs that build.sh makes, so that go.sum holds their sums.
package influxd

import (
	_ "github.com/influxdata/influxdb/v2/cmd/influxd"
	_ "github.com/influxdata/pkg-config"
)
