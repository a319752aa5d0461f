package trace

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

//go:embed drives/*.json drives/*.gpx
var driveFiles embed.FS

// Drives are the recorded drives that the binary carries (drives/SOURCE.md says whose they are), cut
// into pieces without holes and without jumps, each of at least ten minutes.
func Drives() ([]Trace, error) {
	var drives []Trace
	names, err := fs.Glob(driveFiles, "drives/*.*")
	if err != nil {
		return nil, fmt.Errorf("list drives: %w", err)
	}
	for _, name := range names {
		content, err := driveFiles.Open(name)
		if err != nil {
			return nil, fmt.Errorf("open drive: %w", err)
		}
		traces, err := Read(name, content)
		if err := errors.Join(err, content.Close()); err != nil {
			return nil, err
		}
		for _, t := range traces {
			drives = append(drives, t.Split(60*time.Second, maxDriveMPS, 10*time.Minute)...)
		}
	}
	if len(drives) == 0 {
		return nil, ErrEmpty
	}
	return drives, nil
}

// maxDriveMPS is 180 km/h, well below what the server takes for a jump.
const maxDriveMPS = 50
