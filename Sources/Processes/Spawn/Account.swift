internal import Glibc
package import Systemd

/// A user and a group of the system, as `User=` and `Group=` name them.
package struct Account: Equatable {
  /// The name of the user.
  package var name: String
  /// The home directory of the user.
  package var home: String
  /// The ids of the user and the groups.
  package var identity: SpawnRequest.Identity

  /// The account that journalhook itself runs as.
  package static let own: Account? = unsafe getpwuid(geteuid()).map { unsafe Account($0.pointee) }

  /// Finds the account for `User=` and `Group=`.
  ///
  /// - Parameters:
  ///   - user: a name or a number; nil for the user that journalhook runs as.
  ///   - group: a name or a number; nil for the user's primary group.
  /// - Throws: `EPERM` if journalhook has no right to run processes as this account.
  package static func find(user: String?, group: String?) throws(SystemError) -> Account {
    var account: Account
    if let user {
      let entry = if let number = UInt32(user) { unsafe getpwuid(number) } else { unsafe getpwnam(user) }
      guard let entry = unsafe entry else { throw unknown("user", user) }
      account = unsafe Account(entry.pointee)
    } else if let own {
      account = own
    } else {
      throw SystemError("find the user", path: "\(geteuid())", code: ESRCH)
    }
    if let group {
      let entry = if let number = UInt32(group) { unsafe getgrgid(number) } else { unsafe getgrnam(group) }
      guard let entry = unsafe entry else { throw unknown("group", group) }
      account.identity.group = unsafe entry.pointee.gr_gid
      account.identity.supplementaryGroups = [account.identity.group]
    } else {
      account.identity.supplementaryGroups = groups(of: account)
    }
    // Only root can run processes as another user. The kernel would refuse it, too, but only when the process is created.
    let isOwn = account.identity.user == geteuid() && account.identity.group == getegid()
    guard geteuid() == 0 || isOwn else {
      throw SystemError("run as the user or group", path: user ?? group, code: EPERM)
    }
    return account
  }

  /// The error for a name that does not exist. It has no `errno`, because for getpwnam(3) that is not a failure.
  private static func unknown(_ kind: String, _ name: String) -> SystemError {
    SystemError("there is no \(kind)", path: name, code: 0)
  }

  private init(_ entry: passwd) {
    name = unsafe String(cString: entry.pw_name)
    home = unsafe String(cString: entry.pw_dir)
    identity = unsafe SpawnRequest.Identity(
      user: entry.pw_uid, group: entry.pw_gid, supplementaryGroups: [entry.pw_gid])
  }

  private static func groups(of account: Account) -> [UInt32] {
    var count: CInt = 64
    while true {
      var groups = [gid_t](repeating: 0, count: Int(count))
      let asked = count
      if unsafe getgrouplist(account.name, account.identity.group, &groups, &count) >= 0 {
        return Array(groups.prefix(Int(count)))
      }
      // If the array was too small, getgrouplist(3) has set `count` to the number of groups.
      if count <= asked { return [account.identity.group] }
    }
  }
}
