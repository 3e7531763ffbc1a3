package audit

import "testing"

func TestDevice(t *testing.T) {
	for agent, name := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                               "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140":  "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.0 Safari/604": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36":             "Chrome on Android",
		"curl/8.9.1": "curl", "Go-http-client/2.0": "Go-http-client", "": "", "\xff\xfe": "",
	} {
		if got := Device(agent); got != name {
			t.Errorf("%q is %q, want %q", agent, got, name)
		}
	}
}
