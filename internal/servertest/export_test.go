package servertest

// Folder is where this process's servers live.
func Folder() string {
	dir, _ := base()
	return dir
}
