/** What can be done with a request. */
export type Act = 'approve' | 'reject' | 'execute' | 'withdraw';
