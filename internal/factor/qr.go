package factor

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is the margin that a reader needs, in modules (ISO/IEC 18004, 6.3.8).
const quiet = 4

// Picture is a QR code as one path: Size modules square, margin included. A
// page draws it dark on white, whatever its colours are otherwise.
type Picture struct {
	Size int
	Path string // for the attribute d
}

// picture encodes a text with error correction level M: a screen is clean, and
// a camera is not always.
func picture(content string) (Picture, error) {
	code, err := qr.Encode(content, qr.M, qr.Auto)
	if err != nil {
		return Picture{}, fmt.Errorf("drawing a QR code: %w", err)
	}
	n := code.Bounds().Dx()
	dark := func(x, y int) bool { return x < n && code.At(x, y) == color.Black }
	var path strings.Builder
	for y := range n {
		for x := 0; x < n; x++ {
			from := x
			for dark(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return Picture{Size: n + 2*quiet, Path: path.String()}, nil
}
