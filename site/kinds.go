package site

import (
	"io"
	"net/http"
	"os"
	"path"
	"strings"
)

// kinds are content types by file name extension. Package mime also reads the machine's tables, so
// that a site would differ between machines. Text is in UTF-8.
var kinds = map[string]string{
	// parts of pages
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8",
	".xhtml": "application/xhtml+xml", ".css": "text/css; charset=utf-8",
	".wasm": "application/wasm", ".js": "text/javascript; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8", ".cjs": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json",
	".webmanifest": "application/manifest+json", ".jsonld": "application/ld+json",
	".geojson": "application/geo+json", ".jsonl": "application/jsonl",
	".ndjson": "application/x-ndjson", ".xml": "application/xml", ".xsl": "application/xml",
	".rss": "application/rss+xml", ".atom": "application/atom+xml",

	".woff2": "font/woff2", ".woff": "font/woff", ".ttf": "font/ttf", ".otf": "font/otf",
	".ttc": "font/collection", ".eot": "application/vnd.ms-fontobject",

	".svg": "image/svg+xml", ".png": "image/png", ".apng": "image/apng", ".jpg": "image/jpeg",
	".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif",
	".jxl": "image/jxl", ".heic": "image/heic", ".ico": "image/x-icon", ".bmp": "image/bmp",
	".tif": "image/tiff", ".tiff": "image/tiff",

	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".ogg": "audio/ogg",
	".oga": "audio/ogg", ".opus": "audio/ogg", ".flac": "audio/flac", ".wav": "audio/wav",
	".weba": "audio/webm", ".mid": "audio/midi", ".mp4": "video/mp4", ".m4v": "video/mp4",
	".webm": "video/webm", ".ogv": "video/ogg", ".mov": "video/quicktime",
	".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml",
	".vtt": "text/vtt; charset=utf-8",

	".gltf": "model/gltf+json", ".glb": "model/gltf-binary", ".stl": "model/stl",

	// downloads
	".txt": "text/plain; charset=utf-8", ".log": "text/plain; charset=utf-8",
	".md": "text/markdown; charset=utf-8", ".csv": "text/csv; charset=utf-8",
	".tsv": "text/tab-separated-values; charset=utf-8", ".ics": "text/calendar; charset=utf-8",
	".vcf": "text/vcard; charset=utf-8", ".yaml": "application/yaml", ".yml": "application/yaml",
	".toml": "application/toml", ".pdf": "application/pdf", ".epub": "application/epub+zip",
	".rtf":  "application/rtf",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".odt":  "application/vnd.oasis.opendocument.text",
	".ods":  "application/vnd.oasis.opendocument.spreadsheet", ".zip": "application/zip",
	".gz": "application/gzip", ".tgz": "application/gzip", ".tar": "application/x-tar",
	".bz2": "application/x-bzip2", ".xz": "application/x-xz", ".zst": "application/zstd",
	".7z": "application/x-7z-compressed", ".br": "application/octet-stream",
	".bin": "application/octet-stream", ".exe": "application/octet-stream",
	".dmg": "application/octet-stream", ".iso": "application/octet-stream",
	".apk": "application/vnd.android.package-archive",
	".deb": "application/vnd.debian.binary-package",
}

// unnamed are content types of files without extension whose readers insist on one.
var unnamed = map[string]string{
	"apple-app-site-association": "application/json", // Apple's universal links
}

// kindOf returns a file's content type, by its name or else by its first bytes.
func kindOf(name string, file *os.File) string {
	if kind := kinds[strings.ToLower(path.Ext(name))]; kind != "" {
		return kind
	}
	if kind := unnamed[path.Base(name)]; kind != "" {
		return kind
	}
	var first [512]byte // as many as http.DetectContentType uses
	n, err := file.ReadAt(first[:], 0)
	if err != nil && err != io.EOF {
		return "application/octet-stream"
	}
	return http.DetectContentType(first[:n])
}

// compressible reports whether files of that kind usually become much smaller. Others are already
// compressed, or rare.
func compressible(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	switch kind {
	case "application/json", "application/jsonl", "application/x-ndjson", "application/xml",
		"application/yaml", "application/toml",
		"application/wasm", "application/rtf", "application/vnd.apple.mpegurl",
		"application/vnd.ms-fontobject",
		"font/ttf", "font/otf", "font/collection", "image/x-icon", "image/bmp":
		return true
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") ||
		strings.HasSuffix(kind, "+xml")
}
