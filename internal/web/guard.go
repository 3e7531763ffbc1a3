package web

import (
	"net/http"
	"regexp"

	"troth/internal/fault"
)

// crossOrigin refuses unsafe requests that a browser says come from another
// origin (Sec-Fetch-Site, or Origin against Host). It needs no token in forms.
var crossOrigin = http.NewCrossOriginProtection()

var (
	errCrossOrigin = fault.New(fault.Denied, "web.cross_origin",
		"Another site sent this request in your name, so nothing was done. Open the page here and send it again.")
	errNoOrigin = fault.New(fault.Denied, "web.no_origin",
		"The request carries a cookie but does not say which site it comes from, so nothing was done. Send an Origin header with it.")
)

// sameSite refuses cross-site request forgery. CrossOriginProtection lets a
// request pass that carries neither Sec-Fetch-Site nor Origin, because no
// browser of today sends one; with a cookie, an old browser might, so it is
// refused.
func sameSite(r *http.Request) error {
	if safe(r.Method) {
		return nil
	}
	if err := crossOrigin.Check(r); err != nil {
		return errCrossOrigin
	}
	if r.Header.Get("Cookie") != "" && r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return errNoOrigin
	}
	return nil
}

// hostSource is a host that can stand in a Content-Security-Policy (CSP 3,
// 2.3.1); an IPv6 address cannot.
var hostSource = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]{1,5})?$`)

// protect sets the headers that every answer of Troth's own carries. A handler
// may replace one before it answers.
func protect(h http.Header, r *http.Request, redact bool) {
	// The application behind Troth shares the origin: its files are no source
	// of scripts or styles for these pages, only the assets are.
	// Nor may these scripts ask the application anything: only pages below /-/.
	own, pages := "'self'", "'self'"
	if hostSource.MatchString(r.Host) {
		own, pages = r.Host+assetRoot, r.Host+"/-/"
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src "+own+"; style-src "+own+"; img-src "+own+"; connect-src "+pages+
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
	h.Set("Referrer-Policy", "same-origin")
	if redact {
		h.Set("Referrer-Policy", "no-referrer")
	}
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(), "+
		"geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=(), xr-spatial-tracking=()")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Cookie")
}
