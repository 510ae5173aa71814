// Command manual writes what distributions install beside the program: the
// manual pages, in English, Russian and Kazakh, and the scripts that complete
// its command lines in bash, zsh and fish. All of it is made of the command tree
// and holds no date but that of SOURCE_DATE_EPOCH, if it is set.
//
//	go run ./cmd/kaztoken/internal/manual -version v1.2.3 build/share
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"kaztoken/cmd/kaztoken/internal/cli"
	"kaztoken/internal/words"
)

func main() {
	version := flag.String("version", "", "version of the program")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: manual [-version VERSION] FOLDER")
		os.Exit(2)
	}
	if err := write(flag.Arg(0), *version, os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

// write writes everything into a folder: man/man1/*.1, man/ru/man1/*.1,
// man/kk/man1/*.1 and completions/*. epoch is the seconds since 1970 that pages
// have as their date, "" for none
// (reproducible-builds.org, SOURCE_DATE_EPOCH).
func write(dir, version, epoch string) error {
	date := ""
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		date = time.Unix(seconds, 0).UTC().Format(time.DateOnly)
	}
	files := map[string][]byte{}
	for l, under := range map[words.Language]string{words.English: "man1", words.Russian: "ru/man1", words.Kazakh: "kk/man1"} {
		b := book{words: words.For(l), version: version, date: date}
		for name, text := range b.pages() {
			files[filepath.Join("man", under, name+".1")] = []byte(text)
		}
	}
	root := cli.Tree(words.English)
	for name, script := range map[string]func(io.Writer) error{
		"kaztoken.bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"_kaztoken":     root.GenZshCompletion,
		"kaztoken.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		var b bytes.Buffer
		if err := script(&b); err != nil {
			return err
		}
		files[filepath.Join("completions", name)] = b.Bytes()
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
