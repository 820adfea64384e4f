// Pushes with Go's client library what an app would, for tests/clients.rs: `go-client HOST:PORT`.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/prometheus/common/expfmt"
)

func collectors() []prometheus.Collector {
	consumed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "go_app_consumed_total", Help: "Messages \"consumed\"\nso far: \\.",
	}, []string{"topic"})
	consumed.WithLabelValues("a \"quoted\"\\topic\n").Add(3)
	consumed.WithLabelValues("ünïcode").Inc()
	behind := prometheus.NewGauge(prometheus.GaugeOpts{Name: "app_behind_seconds", Help: "Age."})
	behind.Set(1.5e-9)
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "app_took_seconds", Help: "Time.", Buckets: prometheus.DefBuckets,
		NativeHistogramBucketFactor: 1.1,
	})
	took.Observe(0.2)
	took.Observe(3)
	size := prometheus.NewSummary(prometheus.SummaryOpts{
		Name: "app_size_bytes", Help: "Sizes.", Objectives: map[float64]float64{0.5: 0.05},
	})
	size.Observe(7)
	return []prometheus.Collector{consumed, behind, took, size}
}

func pusher(gateway, job string) *push.Pusher {
	out := push.New(gateway, job)
	for _, collector := range collectors() {
		out.Collector(collector)
	}
	return out
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	gateway := "http://" + os.Args[1]
	must(pusher(gateway, "go").Push())
	must(pusher(gateway, "go").Grouping("instance", "a/b").Grouping("zone", "").Push())
	must(pusher(gateway, "text").Format(expfmt.NewFormat(expfmt.TypeTextPlain)).Push())
	must(pusher(gateway, "gone").Push())
	must(push.New(gateway, "gone").Delete())
	again := prometheus.NewGauge(prometheus.GaugeOpts{Name: "app_behind_seconds", Help: "Age."})
	again.Set(2)
	must(push.New(gateway, "go").Collector(again).Add())
	clash := prometheus.NewCounter(prometheus.CounterOpts{Name: "app_behind_seconds", Help: "Age."})
	if err := push.New(gateway, "clash").Collector(clash).Push(); err == nil {
		log.Fatal("a counter was taken under the name of a gauge")
	} else {
		fmt.Println("refused:", err)
	}
}
