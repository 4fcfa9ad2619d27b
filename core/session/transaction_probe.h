// A window for crash tests: with MOESCOPE_TEST_TRANSACTION_FLAG naming a file of at least one byte, that byte is 1 from
// BEGIN to the end of COMMIT, for a parent process that maps the file too; MOESCOPE_TEST_TRANSACTION_DELAY_MS sleeps
// inside, before COMMIT. Without them it does nothing. Private to core/session.
#pragma once

namespace moescope {

class TransactionProbe {
 public:
  TransactionProbe();   // after BEGIN
  ~TransactionProbe();  // after COMMIT or ROLLBACK
  TransactionProbe(const TransactionProbe&) = delete;
  TransactionProbe& operator=(const TransactionProbe&) = delete;
  void before_commit() const;
};

}  // namespace moescope
