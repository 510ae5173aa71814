# Homebrew.
class Kaztoken < Formula
  desc "Driver, manager and control panel for the KAZTOKEN USB token"
  url "file:///usr/local/src/kaztoken-0.1.0.tar.gz"
  license "MIT"

  depends_on "go" => :build
  depends_on "pkg-config" => :build
  depends_on "libusb"

  def install
    ENV["GOFLAGS"] = "-mod=vendor"
    system "make", "build", "VERSION=#{version}"
    system "make", "install-program", "PREFIX=#{prefix}", "UDEVDIR=#{pkgshare}/udev", "VERSION=#{version}"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/kaztoken version")
    assert_match "KAZTOKEN", shell_output("#{bin}/kaztoken --backend virtual list")
  end
end
