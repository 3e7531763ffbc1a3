package plug

import (
	"net/http"
	"strconv"

	"troth/internal/web"
)

// C2SP tlog-tiles: what never changes may be kept for ever.
const (
	immutable = "public, max-age=31536000, immutable" // RFC 8246
	never     = "no-store"
)

// answer writes bytes of the public log. Scripts of other sites may read them:
// they are public.
func answer(r *web.Request, kind, cache string, b []byte) error {
	h := r.W.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", cache)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	r.W.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = r.W.Write(b) // the client went away
	}
	return nil
}

func (p *plug) checkpoint(r *web.Request) error {
	b, err := p.log.Checkpoint(r.Context())
	if err != nil {
		return err
	}
	return answer(r, "text/plain; charset=utf-8", never, b)
}

func (p *plug) vkey(r *web.Request) error {
	return answer(r, "text/plain; charset=utf-8", "public, max-age=300", []byte(p.log.VKey()+"\n"))
}

func (p *plug) tile(r *web.Request) error {
	b, err := p.log.Tile(r.Context(), "tile/"+r.PathValue("path"))
	if err != nil {
		return err
	}
	return answer(r, "application/octet-stream", immutable, b)
}

func (p *plug) evidence(r *web.Request) error {
	b, err := p.log.EvidenceBytes(r.Context(), r.PathValue("digest"))
	if err != nil {
		return err
	}
	return answer(r, "application/vnd.dsse.envelope.v1+json", immutable, b)
}
