/* Start of the domain in a backend. */
#ifndef IAROS_MODEL_INIT_H
#define IAROS_MODEL_INIT_H

extern void model_init(void);

#endif /* IAROS_MODEL_INIT_H */
