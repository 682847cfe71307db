/** The messages between page and server, as docs/events.md describes them. Types only. */

/**
 * @typedef {object} Run
 * @property {string} id
 * @property {string} job
 * @property {string} title
 * @property {string} status
 * @property {number} created seconds since the epoch
 * @property {number | null} started
 * @property {number | null} ended
 * @property {number | null} exit_code
 * @property {string} message
 * @property {[number, number] | null} progress done, of a total
 * @property {number} position bytes of output so far
 * @property {Record<string, unknown>} params
 * @property {string} executor "thread", "process" or "celery"
 * @property {Stage | null} stage how far its Stop has come
 * @property {string} signal what ended its process
 * @property {string} [queue] what it waits in, or waited
 * @property {string | null} [asks] the prompt of the line that the run waits for; null: it waits for none
 */

/**
 * @typedef {object} Stage
 * @property {string} name
 * @property {string | null} next the stage after this one
 * @property {number | null} until when that begins, in seconds since the epoch
 */

/**
 * @typedef {object} Turn
 * @property {string} run
 * @property {string} name the queue's
 * @property {number} position the run's place in it, from 1
 * @property {number} takers how many are up that take from it
 * @property {string} reason
 * @property {string} message what it waits for, as a sentence or nothing
 */

/**
 * @typedef {object} Output
 * @property {string} run
 * @property {string} data
 * @property {number} start the byte offset of the first byte
 * @property {number} position the byte offset after the last byte
 * @property {number} [omitted] bytes of this piece that are not stored
 * @property {string} [reason] why not, where that was on purpose
 */

/**
 * @typedef {object} Fault
 * @property {string} code
 * @property {string} message
 * @property {Record<string, string>} [fields]
 */

/**
 * @typedef {object} Storage
 * @property {boolean} available can output be stored?
 * @property {number | null} since seconds since the epoch, where something is the matter
 * @property {string} reason a sentence, or nothing
 */

/**
 * @typedef {object} System what the namespace `/status` tells
 * @property {number} time seconds since the epoch
 * @property {Numbers | null} numbers null where they are not known yet
 * @property {Storage} storage
 * @property {number} heartbeat after so many seconds at most, a little more on a busy server, there is news again
 */

/**
 * @typedef {object} Numbers
 * @property {number} running
 * @property {number} waiting
 * @property {number} runners
 * @property {number} workers
 * @property {number} nodes
 * @property {Record<string, number>} queues
 */

/** @typedef {{ok: false, error: Fault}} Refusal */
/** @typedef {{ok: true, run: Run} | Refusal} Answer */
/** @typedef {{ok: true, run: Run, after: number, line: number} | Refusal} WatchAnswer */
/** @typedef {{ok: true, matches: Match[], searched: number, done: boolean} | Refusal} SearchAnswer */

/**
 * @typedef {object} Match a line that was found
 * @property {number} position the byte offset of the line's beginning
 * @property {number} line its number, from 1
 * @property {string} text the line, or its part around the match
 * @property {number} begins where the match begins in `text`
 * @property {number} ends
 * @property {number} column where the match begins in the whole line
 */

/**
 * @typedef {object} PageData
 * @property {string} job
 * @property {Run | null} run
 * @property {number} now the server's time as the page was made
 * @property {{job: string, run: string, output: string, login: string, socket: string}} links
 */

/**
 * @typedef {object} CodeParts what the page for typed code knows beside
 * @property {string} user whose drafts this browser keeps
 * @property {Run[]} runs the newest ones, without their parameters
 * @property {string | null} source code to edit again
 * @property {number} longest how many characters of code can be run
 * @property {string} refusal why nothing can be run now, or nothing
 * @property {{code: string}} links
 */

/** @typedef {PageData & CodeParts} CodeData */

export const LIVE = new Set(["queued", "running", "stopping"]);
