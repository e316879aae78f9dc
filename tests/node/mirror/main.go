// Mirror makes archives of container images, and serves files and images on the loopback device.
//
//	mirror image NAME:TAG OUT FOLDER PROGRAM   writes the archive OUT of an image with the files of FOLDER
//	mirror serve FOLDER PORT                   serves FOLDER, and as a registry the images of FOLDER/images/*.tar
package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	log.SetFlags(0)
	var err error
	switch arguments := os.Args[1:]; {
	case len(arguments) == 5 && arguments[0] == "image":
		err = writeImage(arguments[1], arguments[2], arguments[3], arguments[4])
	case len(arguments) == 3 && arguments[0] == "serve":
		err = serve(arguments[1], arguments[2])
	default:
		log.Fatal("mirror image NAME:TAG OUT FOLDER PROGRAM | mirror serve FOLDER PORT")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// writeImage writes an image of one layer, in the form that `docker save` has. The same files give the same bytes.
func writeImage(reference, out, folder, program string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	content, err := pack(folder)
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		Architecture: "amd64",
		OS:           "linux",
		RootFS:       must(image.ConfigFile()).RootFS,
		Config: v1.Config{
			Entrypoint: []string{program},
			Env:        []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
	})
	if err != nil {
		return err
	}
	return tarball.WriteToFile(out, tag, image)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// pack returns the files of a folder as a tar archive. All belong to root and have one date.
func pack(folder string) ([]byte, error) {
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(path); err != nil {
				return err
			}
		}
		header, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		header.Name = relative
		if entry.IsDir() {
			header.Name += "/"
		}
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
		header.ModTime = time.Unix(0, 0)
		if err := writer.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(writer, file)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out.Bytes(), writer.Close()
}

// serve answers on the loopback device alone, once all images are in the registry. Each request is a line of the log.
func serve(folder, port string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	files := http.FileServer(http.Dir(folder))
	go func() {
		log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			log.Print(r.Method, " ", r.URL.Path)
			if strings.HasPrefix(r.URL.Path, "/v2/") {
				images.ServeHTTP(w, r)
			} else {
				files.ServeHTTP(w, r)
			}
		})))
	}()
	archives, err := filepath.Glob(filepath.Join(folder, "images", "*.tar"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if err := push(archive, listener.Addr().String()); err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
	}
	fmt.Println("ready on", listener.Addr())
	select {}
}

// push puts the image of an archive into the registry, under the last part of its name.
func push(archive, address string) error {
	opener := func() (io.ReadCloser, error) { return os.Open(archive) }
	manifest, err := tarball.LoadManifest(opener)
	if err != nil {
		return err
	}
	for _, descriptor := range manifest {
		for _, text := range descriptor.RepoTags {
			tag, err := name.NewTag(text)
			if err != nil {
				return err
			}
			image, err := tarball.Image(opener, &tag)
			if err != nil {
				return err
			}
			own := fmt.Sprintf("%s/%s:%s", address, filepath.Base(tag.RepositoryStr()), tag.TagStr())
			target, err := name.NewTag(own, name.Insecure)
			if err != nil {
				return err
			}
			if err := remote.Write(target, image); err != nil {
				return err
			}
		}
	}
	return nil
}
