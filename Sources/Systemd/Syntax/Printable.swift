extension String {
  /// The text with control characters written as escapes such as `\x1b`, so that text of others cannot control the terminal.
  ///
  /// Escaped are the C0 controls except the tab, DEL, and the C1 controls, which some terminals interpret as escape sequences.
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
