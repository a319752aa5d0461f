package fleet

import (
	"slices"
	"strings"
	"unicode"
)

// spellings are the words that people write for the same thing.
var spellings = map[string]string{
	"feet": "ft", "foot": "ft", "fts": "ft", "'": "ft", "’": "ft", "′": "ft",
	"tons": "ton", "tonne": "ton", "tonnes": "ton", "mt": "ton", "t": "ton",
	"wheel": "wheeler", "wheels": "wheeler", "wheelers": "wheeler",
	"sxl": "singleaxle", "mxl": "multiaxle", "txl": "tripleaxle",
	"plus": "+",
}

// Key names a kind of truck for matching, the same for every spelling that customers and fleets use:
// case, spaces and hyphens do not count, nor does "truck" or the name of the type within the subtype,
// and there is one word for feet, tons, wheels and axles. Key("Open", "17 Feet") is open_17ft,
// Key("trailer", "8 – 11 Tonnes") is trailer_8-11ton.
func Key(kind, subtype string) string {
	kind = kindName(kind)
	words := slices.DeleteFunc(wordsOf(subtype), func(w string) bool { return w == kind || w == "truck" || w == "trucks" })
	if len(words) == 0 { // nothing else was said
		words = wordsOf(subtype)
	}
	return kind + "_" + strings.Join(words, "")
}

// kindName writes a type as the catalogue does.
func kindName(kind string) string { return strings.ToLower(strings.TrimSpace(kind)) }

// wordsOf splits a subtype into runs of letters, numbers, and the signs that tell sizes apart: the
// plus of an open band, and the hyphen between the ends of one.
func wordsOf(s string) []string {
	var words []string
	var word []rune
	end := func() {
		if len(word) == 0 {
			return
		}
		w := strings.TrimRight(string(word), ".")
		word = word[:0]
		if other, ok := spellings[w]; ok {
			w = other
		}
		words = append(words, w)
	}
	for _, r := range strings.ToLower(s) {
		switch {
		case unicode.IsLetter(r):
			if len(word) > 0 && !unicode.IsLetter(word[0]) {
				end()
			}
			word = append(word, r)
		case unicode.IsDigit(r) || (r == '.' && len(word) > 0 && unicode.IsDigit(word[0])):
			if len(word) > 0 && unicode.IsLetter(word[0]) {
				end()
			}
			word = append(word, r)
		case strings.ContainsRune("+'’′-–", r):
			end()
			word = append(word, r)
			end()
		default:
			end()
		}
	}
	end()
	return hyphens(words)
}

// hyphens keeps those between two numbers only: "8-11", but not "17-ft". "8 to 11" is "8-11" too.
func hyphens(words []string) []string {
	kept := make([]string, 0, len(words))
	for i, w := range words {
		if w != "-" && w != "–" && w != "to" {
			kept = append(kept, w)
			continue
		}
		if len(kept) > 0 && i+1 < len(words) && isNumber(kept[len(kept)-1]) && isNumber(words[i+1]) {
			kept = append(kept, "-")
		}
	}
	return kept
}

func isNumber(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsDigit(r) && r != '.' }) < 0
}
