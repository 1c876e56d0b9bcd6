import Systemd
import TestSupport
import Testing

@testable import Lifecycle

@Suite struct SHA256Tests {
  // The vectors of FIPS 180-4's example documents, and one for each place where the padding turns.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func hashes(_ text: String, _ digest: String) {
    var hash = SHA256()
    hash.update(text)
    #expect(hash.hexadecimalDigest() == digest)
  }

  @Test func hashesAMillionLetters() {
    hashes(String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func hashesInParts() {
    for length in 0..<130 {
      var whole = SHA256()
      var parts = SHA256()
      whole.update(String(repeating: "x", count: 70 + length))
      parts.update(String(repeating: "x", count: 70))
      parts.update(String(repeating: "x", count: length))
      #expect(parts.hexadecimalDigest() == whole.hexadecimalDigest())
    }
  }
}
