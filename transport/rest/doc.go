// Package rest is the REST face of Weelo: it translates HTTP into the domain's words and back, by
// the contract of the apps in people's hands.
//
// Invariants:
//   - Every answer is the apps' envelope: {"success":true,"data":…} or {"success":false,"error":{…}},
//     also for unknown routes, wrong methods, panics and what never reached a handler.
//   - Who asks is decided from the access token alone, before the body is read.
//   - What the checks saw is what the handler sees: a body with a duplicate key, a key in another
//     case, or anything after its end is refused (strict.go).
//   - An outage or a bug never shows its text; it is logged with the request id that the answer has.
//
// # Adding a resource
//
// One file per resource. It declares the small interface that it needs, the shapes of input and
// output, and registers its routes:
//
//	// Vehicles is what this file needs of the fleet.
//	type Vehicles interface {
//		Add(ctx context.Context, owner fleet.UserID, v fleet.Vehicle) (fleet.Vehicle, error)
//	}
//
//	type addVehicleInput struct {
//		Body struct {
//			Number string `json:"vehicleNumber" minLength:"8" maxLength:"13"`
//		}
//	}
//
//	// RegisterVehicles adds the vehicles' routes.
//	func RegisterVehicles(a *API, vehicles Vehicles) {
//		Handle(a, Route{Method: http.MethodPost, Path: "/api/v1/vehicles", Name: "add-vehicle", Tag: "vehicles",
//			Roles: []fleet.Role{fleet.Transporter}, Status: http.StatusCreated},
//			func(ctx context.Context, in *addVehicleInput) (VehicleData, error) {
//				v, err := vehicles.Add(ctx, Caller(ctx).UserID, fleet.Vehicle{Number: in.Body.Number})
//				if err != nil {
//					return VehicleData{}, err // a *fault.Error becomes its status and envelope
//				}
//				return vehicleData(v), nil
//			})
//	}
//
// The input's tags are checked before the handler runs (huma's: minLength, pattern, minimum, enum,
// required …); a failure is 400 VALIDATION_ERROR. Fields are required unless tagged omitempty or
// `required:"false"`. Unknown fields are ignored unless the struct has
// `_ struct{} `additionalProperties:"false"“. Path and query fields are tagged `path:"id"`, `query:"page"`.
// Times go out as Timestamp. Caller(ctx) is who asks, RequestOf(ctx) has the idempotency key, device,
// client address and request id.
package rest
