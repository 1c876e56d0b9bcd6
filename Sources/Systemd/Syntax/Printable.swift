extension String {
  /// The text with control characters written as `\x1b`, so that what others have written cannot steer a terminal.
  ///
  /// All of C0 but the tab, DEL, and C1, which some terminals take for escape sequences, too.
  package var printable: String {
    guard unicodeScalars.contains(where: \.steersTerminals) else { return self }
    var text = ""
    for scalar in unicodeScalars {
      if scalar.steersTerminals {
        let digits = String(scalar.value, radix: 16)
        text += digits.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}

extension Unicode.Scalar {
  fileprivate var steersTerminals: Bool { value < 0x20 && value != 0x09 || (0x7F...0x9F).contains(value) }
}
