internal import Glibc

/// A date and a time of day, without a time zone.
struct CalendarTime {
  var year: Int
  /// 1 to 12.
  var month: Int
  /// 1 to 31. A day after the end of the month stands for one in the next month.
  var day: Int
  var hour = 0
  var minute = 0
  var second = 0

  init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    (self.year, self.month, self.day) = (year, month, day)
    (self.hour, self.minute, self.second) = (hour, minute, second)
  }

  init(_ fields: tm) {
    unsafe self.init(
      year: Int(fields.tm_year) + 1900, month: Int(fields.tm_mon) + 1, day: Int(fields.tm_mday),
      hour: Int(fields.tm_hour), minute: Int(fields.tm_min), second: Int(fields.tm_sec))
  }

  /// The time in UTC that is `seconds` seconds after 1970.
  init(secondsAsUTC seconds: Int) {
    var clock = time_t(seconds)
    var fields = unsafe tm()
    unsafe gmtime_r(&clock, &fields)
    unsafe self.init(fields)
  }

  /// The C structure for this time. Its `tm_isdst` is -1, for mktime(3) to find out.
  var fields: tm {
    var fields = unsafe tm()
    unsafe fields.tm_year = Int32(year - 1900)
    unsafe fields.tm_mon = Int32(month - 1)
    unsafe fields.tm_mday = Int32(day)
    unsafe fields.tm_hour = Int32(hour)
    unsafe fields.tm_min = Int32(minute)
    unsafe fields.tm_sec = Int32(second)
    unsafe fields.tm_isdst = -1
    return unsafe fields
  }

  /// 0 for Sunday to 6 for Saturday.
  var weekday: Int {
    var fields = unsafe fields
    unsafe timegm(&fields)
    return unsafe Int(fields.tm_wday)
  }

  /// Seconds since 1970 if this is a time in UTC.
  var secondsAsUTC: Int {
    var fields = unsafe fields
    return unsafe timegm(&fields)
  }
}
