//go:build tools

// Names the Pushgateway that tests/utf8.rs builds.
package pushgateway

import _ "github.com/prometheus/pushgateway"
