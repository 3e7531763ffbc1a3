package audit

import "strings"

// Device says what an agent says about itself, in words: "Firefox on Linux".
// It is a help to recognise one's own devices and nothing is decided by it:
// anybody can send any agent.
func Device(agent string) string {
	browser, system := first(agent, browsers), first(agent, systems)
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	case system != "":
		return system
	}
	name, _, _ := strings.Cut(agent, "/")
	name, _, _ = strings.Cut(name, " ")
	return cut(strings.ToValidUTF8(name, ""), 40)
}

// marks are looked for in order: most browsers also name the ones that they
// want to be taken for.
type mark struct{ in, name string }

var browsers = []mark{
	{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"}, {"FxiOS/", "Firefox"},
	{"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
}

var systems = []mark{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
	{"Mac OS X", "macOS"}, {"FreeBSD", "FreeBSD"}, {"Linux", "Linux"},
}

func first(agent string, marks []mark) string {
	for _, m := range marks {
		if strings.Contains(agent, m.in) {
			return m.name
		}
	}
	return ""
}
